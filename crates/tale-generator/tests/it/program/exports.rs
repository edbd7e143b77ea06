//! `tales export FILE` with every kind of FILE.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::jobs::SEED;
use super::{run, tales};

fn seeded() -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), SEED);
    let (code, _, said) = run(command.env("REDIS_URL", "memory://"));
    assert_eq!(code, 0, "{said}");
    directory
}

fn export(directory: &Path, file: &str) -> (i32, String) {
    let mut command = tales(directory, &["export", file]);
    let (code, _, said) = run(command.env("REDIS_URL", "memory://"));
    (code, said)
}

fn rows(file: &Path) -> usize {
    fs::read_to_string(file).unwrap().lines().count()
}

/// Returns the names of the files beside the database.
fn others(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("tales.db")).collect();
    names.sort();
    names
}

#[test]
fn an_export_to_a_device_writes_to_it_and_replaces_nothing() {
    let directory = seeded();
    // The link protects the device if this test fails.
    let device = directory.path().join("device");
    symlink("/dev/full", &device).unwrap();
    let (code, said) = export(directory.path(), "device");
    assert_eq!(code, 1);
    assert!(said.contains("No space left"), "{said}");
    assert_eq!(fs::read_link(&device).unwrap(), Path::new("/dev/full"));
    assert!(fs::metadata(&device).unwrap().file_type().is_char_device());
    assert_eq!(others(directory.path()), ["device"]);
}

#[test]
fn an_export_to_a_pipe_reaches_its_reader() {
    let directory = seeded();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || rows(&pipe))
    };
    let (code, said) = export(directory.path(), "pipe");
    assert_eq!(code, 0, "{said}");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(reader.join().unwrap(), 12);
    assert_eq!(others(directory.path()), ["pipe"]);
}

#[test]
fn an_export_to_a_symbolic_link_replaces_the_file_it_names() {
    let directory = seeded();
    let (link, file) = (directory.path().join("link"), directory.path().join("file"));
    fs::write(&file, "before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", &link).unwrap();
    // A reader that opened the old file reads all of it.
    let before = File::open(&file).unwrap();
    assert_eq!(export(directory.path(), "link").0, 0);
    assert_eq!(std::io::read_to_string(before).unwrap(), "before");
    assert_eq!(
        (rows(&file), fs::read_link(&link).unwrap()),
        (12, "file".into())
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);

    symlink("nothing", directory.path().join("dangling")).unwrap();
    let (code, said) = export(directory.path(), "dangling");
    assert_eq!(code, 1);
    assert!(said.contains("symbolic link"), "{said}");
    assert_eq!(others(directory.path()), ["dangling", "file", "link"]);
}

#[test]
fn an_export_never_writes_through_a_planted_link() {
    let directory = seeded();
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink("victim", directory.path().join("rows.partial")).unwrap();
    assert_eq!(export(directory.path(), "rows").0, 0);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(rows(&directory.path().join("rows")), 12);
    assert_eq!(others(directory.path()), ["rows", "rows.partial", "victim"]);
}

#[test]
fn an_export_to_a_directory_is_refused_and_leaves_nothing() {
    let directory = seeded();
    fs::create_dir(directory.path().join("rows")).unwrap();
    let (code, said) = export(directory.path(), "rows");
    assert_eq!(code, 1);
    assert!(said.contains("directory"), "{said}");
    assert_eq!(others(directory.path()), ["rows"]);
    assert_eq!(others(&directory.path().join("rows")), [""; 0]);
}

#[test]
fn an_export_never_replaces_a_database() {
    let directory = seeded();
    symlink("tales.db", directory.path().join("link")).unwrap();
    fs::hard_link(
        directory.path().join("tales.db"),
        directory.path().join("hard"),
    )
    .unwrap();
    for file in ["tales.db", "link", "hard"] {
        let (code, said) = export(directory.path(), file);
        assert_eq!(code, 1, "{file}");
        assert!(said.contains("is a SQLite database"), "{said}");
    }
    assert_eq!(export(directory.path(), "rows").0, 0);
    assert_eq!(rows(&directory.path().join("rows")), 12);
}
