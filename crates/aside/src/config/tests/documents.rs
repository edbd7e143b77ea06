//! The documentation has the names, defaults and allowed values of `setting`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::setting::{Range, Setting};

use super::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

fn known(name: &str) -> Option<&'static Setting> {
    setting::ALL
        .iter()
        .copied()
        .find(|setting| setting.name == name)
}

/// Checks each row of a table that names settings of the cache, and returns
/// their names. A table without a third column of allowed values has only
/// defaults.
fn check_rows(text: &str, has_allowed: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let row = line.trim_start_matches("///").trim();
        if !row.starts_with("| `REDIS_") && !row.starts_with("| `CACHE_") {
            continue;
        }
        let row = row.replace('`', "");
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for name in cells[1].split(", ") {
            let setting = known(name).unwrap_or_else(|| panic!("{name} is not a setting"));
            assert_eq!(cells[2], setting.default, "the default of {name}");
            if has_allowed {
                let allowed = setting.allowed.replace('`', "");
                assert_eq!(cells[3], allowed, "the allowed values of {name}");
            }
            assert!(names.insert(name.to_owned()), "{name} has two rows");
        }
    }
    names
}

fn all_names() -> BTreeSet<String> {
    let names = setting::ALL.iter().map(|setting| setting.name.to_owned());
    names.collect()
}

#[test]
fn the_tables_of_the_documentation_agree_with_the_settings() {
    for path in ["docs/settings.md", "crates/aside/src/config/mod.rs"] {
        assert_eq!(check_rows(&page(path), true), all_names(), "{path}");
    }
    assert!(!check_rows(&page("README.md"), false).is_empty());
}

/// Spells a default as the documentation of a field does, with its unit.
fn with_unit(setting: &Setting) -> String {
    let default = setting.default;
    if setting.allowed.starts_with("milliseconds") {
        let millis: u64 = default.parse().unwrap();
        return match millis % 1000 {
            0 => format!("{} s", millis / 1000),
            _ => format!("{millis} ms"),
        };
    }
    if setting.allowed.starts_with("seconds") && setting.name != setting::KIND_TTL.name {
        return format!("{default} s");
    }
    default.replace("MiB", " MiB")
}

#[test]
fn the_documentation_of_each_field_has_its_default() {
    let text = page("crates/aside/src/config/mod.rs");
    let (_, fields) = text.split_once("pub struct CacheConfig {").unwrap();
    let (fields, _) = fields.split_once("\n}\n").unwrap();
    let mut names = BTreeSet::new();
    // The last field is no setting.
    let (fields, _) = fields.split_once("\n\n    /// Names among").unwrap();
    for field in fields.split("\n\n") {
        let lines = field
            .lines()
            .map(|line| line.trim_start_matches([' ', '/']));
        let text = lines.collect::<Vec<_>>().join(" ").replace('`', "");
        let (head, default) = text.split_once(" Default: ").expect(field);
        let words = head.split(|c: char| !is_part_of_name(c));
        let setting = words.filter_map(known).next().expect(field);
        let rest = default.strip_prefix(&with_unit(setting)).expect(&text);
        assert!(rest.starts_with(['.', ',', ';']), "{text}");
        names.insert(setting.name.to_owned());
    }
    assert_eq!(names, all_names());
}

fn is_part_of_name(character: char) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit() || "_{}".contains(character)
}

#[test]
fn the_words_for_a_range_name_its_ends() {
    for setting in setting::ALL {
        let ends = match &setting.range {
            Range::Text => continue,
            Range::Whole(range) | Range::ZeroOr(range) => {
                let [least, most] = [range.start(), range.end()].map(|end| match end >> 20 {
                    0 => end.to_string(),
                    _ if !setting.allowed.contains("bytes") => end.to_string(),
                    mib if mib % 1024 == 0 => format!("{}GiB", mib / 1024),
                    mib => format!("{mib}MiB"),
                });
                format!("{least} to {most}")
            }
            Range::Fraction(range) => format!("{} to {}", range.start(), range.end()),
        };
        let words = format!(" {} ", setting.allowed.replace([',', '('], " "));
        assert!(
            words.contains(&format!(" {ends} ")),
            "{}: {ends}",
            setting.name
        );
    }
}

/// Adds the names that look like settings of the cache.
fn collect_names(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect_names(&entry.unwrap().path(), found);
        }
    } else if path
        .extension()
        .is_some_and(|end| end == "md" || end == "rs")
    {
        let text = fs::read_to_string(path).unwrap();
        let words = text.split(|character| !is_part_of_name(character));
        let names = words.filter(|word| word.starts_with("REDIS_") || word.starts_with("CACHE_"));
        found.extend(names.map(str::to_owned));
    }
}

#[test]
fn messages_and_pages_name_known_settings() {
    // Constants of other libraries and of the tests, and the beginnings of names.
    const OTHER: [&str; 4] = ["CACHE_CONTROL", "CACHE_STATUS", "CACHE_", "REDIS_"];
    let mut found = BTreeSet::new();
    for path in [
        "README.md",
        "CAVEATS.md",
        "ARCHITECTURE.md",
        "docs",
        "crates/aside/src/redis",
        "crates/aside/src/trust",
        "crates/aside/src/recovery",
        "crates/aside/src/service",
        "crates/aside-admin/src",
        "crates/tale-generator/src",
    ] {
        collect_names(&repository().join(path), &mut found);
    }
    found.retain(|name| !OTHER.contains(&name.as_str()));
    assert!(found.len() > 10);
    for name in found {
        let is_of_kind = setting::kind_of_ttl(&name).is_some();
        assert!(
            is_of_kind || known(&name).is_some(),
            "{name} is not a setting"
        );
    }
}
