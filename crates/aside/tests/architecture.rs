//! `lib.rs` lists the modules in reading order; each uses only those above it.

use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the modules, in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let names = lib.lines().filter_map(|line| {
        let line = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ");
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    });
    names.collect()
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

/// Returns a file's code, without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns those of `modules` that a piece of code names as `crate::...`.
fn named<'m>(code: &str, modules: &'m [String]) -> Vec<&'m str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let first: String = match rest.strip_prefix('{') {
            Some(group) => group.chars().take_while(|c| *c != ';').collect(),
            None => rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect(),
        };
        for module in modules {
            let is_word = |text: &str| {
                text.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == module)
            };
            if is_word(&first) {
                found.push(module.as_str());
            }
        }
    }
    found
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let mut found = files(&source().join(module));
    let own = source().join(format!("{module}.rs"));
    if own.exists() {
        found.push(own);
    }
    found
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let modules = modules();
    assert!(
        modules.len() > 20,
        "the modules of lib.rs are not found: {modules:?}"
    );
    let mut upward = Vec::new();
    for (at, module) in modules.iter().enumerate() {
        for file in files_of(module) {
            for used in named(&code(&file), &modules[at + 1..]) {
                upward.push(format!(
                    "{} uses `{used}`, which is below `{module}`",
                    file.display()
                ));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn every_file_belongs_to_a_module_of_lib_rs() {
    let known: Vec<PathBuf> = modules()
        .iter()
        .flat_map(|module| files_of(module))
        .collect();
    let lost: Vec<_> = files(&source())
        .into_iter()
        .filter(|file| !known.contains(file) && !file.ends_with("lib.rs"))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn sockets_and_the_local_store_are_named_in_one_file_each() {
    for (library, only) in [
        ("tokio::net::", "shared/redis/stream.rs"),
        ("rustls::", "shared/redis/stream.rs"),
        ("quick_cache::", "process.rs"),
    ] {
        for file in files(&source()) {
            let names = code(&file).contains(library);
            let allowed = file.ends_with(only);
            assert!(!names || allowed, "{} names {library}", file.display());
        }
    }
}
