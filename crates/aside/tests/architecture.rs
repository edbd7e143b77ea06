//! Every folder's list of modules is in reading order: a module uses only those
//! above it. This holds for each crate of the workspace.
//!
//! Two paths are compared where they part: `crate::tiers::kind::names` and
//! `crate::redis::pool` part at the root, so `redis` must stand above `tiers` in
//! `lib.rs`, or the other way round. A folder and its own files may use each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module by the names of its path; the root of a crate is empty.
type Module = Vec<String>;

struct Crate {
    root: PathBuf,
    files: BTreeMap<Module, PathBuf>,
    /// The modules that a file declares, in its order.
    lists: BTreeMap<Module, Vec<String>>,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the root file of every crate, and of every test that is one.
fn roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for entry in fs::read_dir(workspace()).unwrap() {
        let krate = entry.unwrap().path();
        roots.extend(["lib.rs", "main.rs"].map(|root| krate.join("src").join(root)));
        for test in fs::read_dir(krate.join("tests")).into_iter().flatten() {
            roots.push(test.unwrap().path().join("main.rs"));
        }
    }
    roots.retain(|root| root.is_file());
    roots
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut krate = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            lists: BTreeMap::new(),
        };
        krate.add(Vec::new(), root.to_owned());
        krate
    }

    fn add(&mut self, module: Module, file: PathBuf) {
        let folder = file.parent().unwrap().to_owned();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let folder = match stem {
            "mod" | "lib" | "main" => folder,
            stem => folder.join(stem),
        };
        let mut list = Vec::new();
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = declared(line) else { continue };
            // A file of another crate, under another name.
            if at > 0
                && lines[..at]
                    .iter()
                    .rev()
                    .take(2)
                    .any(|line| line.starts_with("#[path"))
            {
                continue;
            }
            let child = [module.clone(), vec![name.to_owned()]].concat();
            let places = [format!("{name}.rs"), format!("{name}/mod.rs")];
            let place = places.map(|place| folder.join(place));
            if let Some(place) = place.into_iter().find(|place| place.is_file()) {
                list.push(name.to_owned());
                self.add(child, place);
            }
        }
        self.lists.insert(module.clone(), list);
        self.files.insert(module, file);
    }

    /// Returns the module that a path leads to, or into.
    fn module_of(&self, path: &[String]) -> Module {
        let lengths = (0..=path.len()).rev();
        let known = lengths.map(|length| path[..length].to_vec());
        known
            .into_iter()
            .find(|module| self.files.contains_key(module))
            .unwrap_or_default()
    }

    /// Returns a sentence for each module that this one uses although it is listed below.
    fn upward(&self, module: &Module) -> Vec<String> {
        let file = &self.files[module];
        let mut found = Vec::new();
        for path in paths(&fs::read_to_string(file).unwrap(), module) {
            let used = self.module_of(&path);
            let same = module.iter().zip(&used).take_while(|(a, b)| a == b).count();
            let (Some(own), Some(other)) = (module.get(same), used.get(same)) else {
                continue;
            };
            let list = &self.lists[&module[..same]];
            let place = |name| list.iter().position(|listed| listed == name);
            if place(own) < place(other) {
                found.push(format!(
                    "{} uses `{}`, but `{other}` is listed below `{own}`",
                    file.display(),
                    used.join("::"),
                ));
            }
        }
        found
    }
}

/// Returns the module that a line declares, if its body is in another file.
fn declared(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.split_once(' ')?.1,
        None => line,
    };
    line.strip_prefix("mod ")?.strip_suffix(';')
}

fn is_part_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the paths that a file names as `crate::...` or `super::...`, from the
/// root of its crate.
fn paths(text: &str, module: &Module) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // The indentation of the modules within the file that a line is in.
    let mut within: Vec<usize> = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let indentation = line.len() - line.trim_start().len();
        let words = || line.trim_start().trim_start_matches("pub ");
        for start in ["crate::", "super::"] {
            for (at, _) in line.match_indices(start) {
                let before = line[..at].chars().next_back();
                if before.is_some_and(|c| is_part_of_name(c) || ":$".contains(c)) {
                    continue;
                }
                let mut rest = &line[at..];
                let mut levels = 0;
                while let Some(after) = rest.strip_prefix("super::") {
                    (rest, levels) = (after, levels + 1);
                }
                let base = match rest.strip_prefix("crate::") {
                    Some(after) => {
                        rest = after;
                        Vec::new()
                    }
                    None if levels <= within.len() => continue,
                    None => module[..module.len() - (levels - within.len())].to_vec(),
                };
                found.extend(continued(rest, &base));
            }
        }
        if words().starts_with("mod ") && line.ends_with('{') {
            within.push(indentation);
        } else if within.last() == Some(&indentation) && line.trim_start().starts_with('}') {
            within.pop();
        }
    }
    found
}

/// Returns the paths that begin with `base` and go on with `rest`; several where
/// it ends with a group.
fn continued(rest: &str, base: &[String]) -> Vec<Vec<String>> {
    let mut path = base.to_vec();
    let mut rest = rest;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let names = group.split(|c| !is_part_of_name(c));
            let names = names.filter(|name| !name.is_empty());
            return names
                .map(|name| [path.clone(), vec![name.to_owned()]].concat())
                .collect();
        }
        let name: String = rest.chars().take_while(|c| is_part_of_name(*c)).collect();
        if name.is_empty() {
            return vec![path];
        }
        rest = &rest[name.len()..];
        path.push(name);
        match rest.strip_prefix("::") {
            Some(after) => rest = after,
            None => return vec![path],
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let mut upward = Vec::new();
    for root in roots() {
        let krate = Crate::read(&root);
        for module in krate.files.keys() {
            upward.extend(krate.upward(module));
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn a_module_below_is_seen_through_every_spelling() {
    let module = vec!["tiers".to_owned(), "kind".to_owned()];
    let text = "use crate::redis::pool;\n\
                use super::{forget, gather};\n\
                mod inner {\n    use super::super::sweeps;\n    use super::own;\n}\n\
                fn f() { crate::write::Write::new(super::super::local::X) }\n\
                // crate::service\n";
    let named: Vec<String> = paths(text, &module)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        named,
        [
            "redis::pool",
            "tiers::forget",
            "tiers::gather",
            "tiers::sweeps",
            "write::Write::new",
            "local::X",
        ]
    );
}

#[test]
fn the_root_of_aside_lists_its_rooms() {
    let krate = Crate::read(&workspace().join("aside/src/lib.rs"));
    let rooms = &krate.lists[&Module::new()];
    assert!(rooms.len() > 10, "{rooms:?}");
    assert!(krate.files.len() > 100, "{}", krate.files.len());
}

#[test]
fn every_file_belongs_to_a_module() {
    for root in roots() {
        let krate = Crate::read(&root);
        let folder = krate.root.parent().unwrap();
        if krate.root.ends_with("main.rs") && folder.join("lib.rs").is_file() {
            continue;
        }
        let known: Vec<&PathBuf> = krate.files.values().collect();
        let lost: Vec<_> = files(folder)
            .into_iter()
            .filter(|file| !known.contains(&file) && !file.ends_with("src/main.rs"))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn a_module_with_a_folder_is_the_folders_mod_rs() {
    for root in roots() {
        for file in files(root.parent().unwrap()) {
            let folder = file.with_extension("");
            assert!(!folder.is_dir(), "{} has a folder", file.display());
        }
    }
}

#[test]
fn sockets_tls_and_the_local_store_are_named_in_one_room_each() {
    let sources = ["aside/src", "aside-redis/src"].map(|source| workspace().join(source));
    for (library, only) in [
        ("tokio::net::", "aside-redis/src/connect/"),
        ("rustls::", "aside-redis/src/tls/"),
        ("quick_cache::", "aside/src/local/"),
    ] {
        let mut named = 0;
        for file in sources.iter().flat_map(|source| files(source)) {
            let text = fs::read_to_string(&file).unwrap();
            let names = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.contains(library)
            });
            named += usize::from(names);
            let allowed = file.to_string_lossy().contains(only);
            assert!(!names || allowed, "{} names {library}", file.display());
        }
        assert!(named > 0, "{library} is named in {only}");
    }
}

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// Files and functions that may be longer: a part of the path, and a function or
/// nothing for all of the file.
const LONGER: &[(&str, &str)] = &[
    // One arm for each operation. Nested enums would hide what the compiler checks.
    ("aside/src/conformance/model.rs", "run"),
    ("aside/src/memory/mod.rs", "run"),
    ("aside/src/protocol/commands/mod.rs", "encode_one"),
    ("aside/src/simulation/commands.rs", "scripted"),
    // One sentence for each problem.
    ("aside-testkit/src/entity/problem.rs", "fmt"),
];

/// Returns the files of all crates' `src`, apart from tests.
fn production() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for krate in fs::read_dir(workspace()).unwrap() {
        found.extend(files(&krate.unwrap().path().join("src")));
    }
    found.retain(|file| {
        let mut parts = file.components().map(|part| part.as_os_str());
        !parts.any(|part| part == "tests" || part == "tests.rs")
    });
    found
}

/// Returns the functions of a formatted file with their lines, from `fn` to the
/// brace at the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indentation = &line[..line.len() - code.len()];
        let Some((before, rest)) = code.split_once("fn ") else {
            continue;
        };
        let is_qualifier = |word: &str| {
            let known = ["async", "const", "default", "unsafe", "extern", "\"C\""];
            known.contains(&word) || word.starts_with("pub")
        };
        if !before.split_whitespace().all(is_qualifier) {
            continue;
        }
        let is_end = |line: &&str| {
            let same = line.strip_prefix(indentation);
            let same = same.filter(|code| !code.starts_with(' '));
            same.is_some_and(|code| code == "}" || code.ends_with(';'))
        };
        let is_one_line = line.ends_with(['}', ';']);
        let more = match is_one_line {
            true => 0,
            false => lines[at..].iter().position(is_end).unwrap_or(0),
        };
        let name = rest.chars().take_while(|c| is_part_of_name(*c)).collect();
        found.push((name, more + 1));
    }
    found
}

#[test]
fn production_files_and_functions_are_short() {
    let mut long = Vec::new();
    for file in production() {
        let place = file.to_string_lossy();
        let may = |function: &str| {
            let is_listed = |(part, name): &&(&str, &str)| {
                place.contains(part) && [function, ""].contains(name)
            };
            LONGER.iter().any(|listed| is_listed(&listed))
        };
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES && !may("") {
            long.push(format!("{place} has {lines} lines"));
        }
        for (name, lines) in functions(&text) {
            if lines > MAX_FUNCTION_LINES && !may(&name) {
                long.push(format!("`{name}` in {place} has {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_lines_of_a_function_end_with_its_brace() {
    let text = "trait T {\n    fn declared(&self);\n    fn wide(\n        a: u8,\n    ) -> u8;\n}\n\
                impl X {\n    pub(crate) async fn run(\n        &self,\n    ) {\n        \
                if true {\n        }\n    }\n    const fn one() -> u8 { 1 }\n}\n\
                // a fn in a comment\n";
    let found = functions(text);
    let found: Vec<_> = found.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(
        found,
        [("declared", 1), ("wide", 3), ("run", 6), ("one", 1)]
    );
}
