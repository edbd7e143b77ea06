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

/// Returns the path of every document, from the root of the workspace.
fn paths() -> Vec<PathBuf> {
    let root = workspace();
    let mut paths: Vec<PathBuf> = [
        "ARCHITECTURE.md",
        "CAVEATS.md",
        "CONTRIBUTING.md",
        "README.md",
    ]
    .map(PathBuf::from)
    .into();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "md") {
                paths.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    paths
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Returns every document, with its name.
fn documents() -> Vec<(String, String)> {
    let read = |path: PathBuf| (path.display().to_string(), text_of(&path));
    paths().into_iter().map(read).collect()
}

/// Returns the lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// Returns the texts between single backticks outside of code blocks.
fn quoted(text: &str) -> Vec<&str> {
    prose(text)
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

/// Returns the targets of the links of a page that lead into this repository.
fn links(text: &str) -> Vec<&str> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1));
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .collect()
}

/// Returns the anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| line.strip_prefix('#'));
    let is_kept = |part: &char| part.is_alphanumeric() || "-_ ".contains(*part);
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(is_kept);
            kept.map(|part| if part == ' ' { '-' } else { part })
                .collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut broken = Vec::new();
    for page in paths() {
        let text = text_of(&page);
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let exists = workspace().join(&target).exists();
            let has_heading = || anchor.is_empty() || anchors(&text_of(&target)).contains(anchor);
            if !exists || !has_heading() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_a_chapter_of_the_book() {
    let summary = text_of(Path::new("docs/SUMMARY.md"));
    let chapters: BTreeSet<&str> = links(&summary).into_iter().collect();
    let missing: Vec<_> = paths()
        .into_iter()
        .map(|page| match page.strip_prefix("docs") {
            Ok(page) => page.display().to_string(),
            Err(_) => format!("../{}", page.display()),
        })
        .filter(|page| page != "SUMMARY.md" && !chapters.contains(page.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}
