//! The documents name files and tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the paths of all source files, from the root of the workspace.
fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![workspace().join("crates")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Returns every document, with its name.
fn documents() -> Vec<(String, String)> {
    let root = workspace();
    let mut paths: Vec<PathBuf> = ["ARCHITECTURE.md", "CAVEATS.md", "README.md"]
        .map(|name| root.join(name))
        .into();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            text,
        )
    };
    paths.into_iter().map(read).collect()
}

/// Returns the texts between single backticks outside of code blocks.
fn quoted(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    });
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_source_file_that_a_document_names_exists() {
    let sources = sources();
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for name in quoted(&text) {
            let is_path = name.ends_with(".rs") && !name.contains([' ', '*', '{']);
            if is_path && !sources.iter().any(|path| path.ends_with(name)) {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut tests = BTreeSet::new();
    for source in sources() {
        let text = fs::read_to_string(source).unwrap();
        for rest in text.split("fn ").skip(1) {
            let end = rest.find(|end: char| !(end.is_alphanumeric() || end == '_'));
            tests.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    let mut missing = Vec::new();
    for (document, text) in documents() {
        for name in quoted(&text) {
            // Promises are sentences, and nothing else has such names.
            let is_sentence = name.matches('_').count() >= 4
                && name
                    .chars()
                    .all(|part| part.is_ascii_lowercase() || part.is_ascii_digit() || part == '_');
            let is_other = ["aside_", "pg_"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            if is_sentence && !is_other && !tests.contains(name) {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}
