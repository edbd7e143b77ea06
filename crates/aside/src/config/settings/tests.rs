use std::ffi::OsString;
use std::fs;
use std::path::Path;

use aside_redis::Secret;
use proptest::prelude::*;

use super::*;

/// Loads settings as a process started in `directory` would.
fn load(environment: &[(&str, &str)], directory: &Path) -> Result<Settings, ConfigError> {
    Settings::load_from(
        environment
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value))),
        directory,
    )
}

fn text(settings: &Settings, name: &str) -> Option<String> {
    settings.read(|reader| reader.text(name)).unwrap()
}

fn secret(settings: &Settings, name: &str) -> Option<String> {
    settings
        .read(|reader| reader.secret(name))
        .unwrap()
        .map(|secret| secret.expose().to_owned())
}

fn one(value: &str) -> Settings {
    Settings::from_pairs([("NAME", value)])
}

#[test]
fn the_environment_overrides_dotenv_and_dotenv_the_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "A=dotenv\nB=dotenv\n").unwrap();
    fs::write(
        directory.path().join("aside.toml"),
        "a = 'file'\nB = 'file'\nc = 'file'\n",
    )
    .unwrap();

    let settings = load(&[("A", "environment")], directory.path()).unwrap();

    assert_eq!(text(&settings, "A").as_deref(), Some("environment"));
    assert_eq!(text(&settings, "B").as_deref(), Some("dotenv"));
    assert_eq!(text(&settings, "C").as_deref(), Some("file"));
    assert_eq!(text(&settings, "D"), None);
}

#[test]
fn an_empty_value_falls_through_to_the_next_place() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "A=\nB=  # unset\nC=c\n").unwrap();
    fs::write(directory.path().join("aside.toml"), "a = 'file'\nb = ''\n").unwrap();

    let settings = load(&[("A", " "), ("C", "# unset")], directory.path()).unwrap();

    assert_eq!(text(&settings, "A").as_deref(), Some("file"));
    assert_eq!(text(&settings, "B"), None);
    assert_eq!(text(&settings, "C").as_deref(), Some("c"));
}

#[test]
fn aside_config_replaces_the_default_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("aside.toml"), "a = 1").unwrap();
    fs::write(directory.path().join("other.toml"), "a = 2").unwrap();
    fs::write(
        directory.path().join(".env"),
        "ASIDE_CONFIG=other.toml # here\n",
    )
    .unwrap();

    let settings = load(&[], directory.path()).unwrap();

    assert_eq!(text(&settings, "A").as_deref(), Some("2"));
}

#[test]
fn a_file_that_is_named_but_missing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = load(&[("ASIDE_CONFIG", "missing.toml")], directory.path()).unwrap_err();
    assert!(error.to_string().contains("missing.toml"), "{error}");
    assert!(load(&[], directory.path()).is_ok());
}

#[test]
fn a_parse_error_names_the_position_and_quotes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join(".env"),
        "A=1\nREDIS_PASSWORD=hunter two\n",
    )
    .unwrap();
    fs::write(
        directory.path().join("aside.toml"),
        "a = 1\nredis_password = 'hunter\n",
    )
    .unwrap();

    let error = load(&[], directory.path()).unwrap_err();

    assert_eq!(error.problems().len(), 2, "{error}");
    assert!(error.problems()[0].contains("the entry after A"), "{error}");
    assert!(error.problems()[1].contains("line 2"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
}

#[test]
fn a_toml_file_may_not_contain_tables_or_lists() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("aside.toml");
    fs::write(&file, "a = 'x # y'\nb = 2\nc = true\nd = 0.5\n").unwrap();
    let settings = load(&[], directory.path()).unwrap();
    assert_eq!(text(&settings, "A").as_deref(), Some("x"));
    assert_eq!(secret(&settings, "A").as_deref(), Some("x # y"));
    assert_eq!(text(&settings, "B").as_deref(), Some("2"));
    assert_eq!(text(&settings, "C").as_deref(), Some("true"));
    assert_eq!(text(&settings, "D").as_deref(), Some("0.5"));

    fs::write(&file, "redis_db = 1\nREDIS_DB = 2\nb = []\n[redis]\n").unwrap();
    let error = load(&[], directory.path()).unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    assert!(error.to_string().contains("`redis` is a table"), "{error}");
    assert!(
        error.to_string().contains("REDIS_DB is given twice"),
        "{error}"
    );
}

#[test]
fn a_dotenv_file_may_come_from_any_editor() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join(".env"),
        "\u{feff}A=1\r\n\r\n# words\r\nexport B='two words' # it's two\r\nC=3 ",
    )
    .unwrap();

    let settings = load(&[], directory.path()).unwrap();

    assert_eq!(text(&settings, "A").as_deref(), Some("1"));
    assert_eq!(text(&settings, "B").as_deref(), Some("two words"));
    assert_eq!(text(&settings, "C").as_deref(), Some("3"));
}

#[test]
fn a_comment_after_a_value_is_dropped() {
    assert_eq!(
        text(&one("3600  # one hour"), "NAME").as_deref(),
        Some("3600")
    );
    assert_eq!(text(&one("a#b # c # d"), "NAME").as_deref(), Some("a#b"));
    assert_eq!(text(&one("# nothing"), "NAME"), None);
    assert_eq!(text(&one("\t"), "NAME"), None);
}

#[test]
fn a_url_keeps_its_hash_and_loses_its_comment() {
    let read = |value| one(value).read(|reader| reader.url("NAME")).unwrap();
    assert_eq!(
        read(" rediss://h#insecure # why not"),
        Some(Secret::new("rediss://h#insecure")),
    );
    assert_eq!(read("  # none"), None);
}

#[test]
fn a_secret_is_taken_verbatim() {
    for value in ["pass # word", "#1", "#", "trailing ", "a#b"] {
        assert_eq!(secret(&one(value), "NAME").as_deref(), Some(value));
    }
    for value in ["", "  ", "  # optional", "# optional", " #optional"] {
        assert_eq!(secret(&one(value), "NAME"), None, "{value:?}");
    }
}

#[test]
fn a_flag_accepts_the_usual_spellings() {
    let read = |value| one(value).read(|reader| reader.flag("NAME"));
    for value in ["true", "TRUE", "1", "yes", "On # of course"] {
        assert_eq!(read(value), Ok(Some(true)), "{value}");
    }
    for value in ["false", "False", "0", "NO", "off"] {
        assert_eq!(read(value), Ok(Some(false)), "{value}");
    }
    assert_eq!(read(""), Ok(None));
    assert!(read("maybe").is_err());
}

#[test]
fn a_size_is_plain_or_has_a_unit() {
    let read = |value| one(value).read(|reader| reader.bytes("NAME", "bytes"));
    for (value, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("100B", 100),
        ("8KiB", 8192),
        ("8k", 8192),
        ("64MiB", 64 << 20),
        ("64 MB", 64_000_000),
        ("64 mb # plenty", 64_000_000),
        ("1g", 1 << 30),
        ("2 GB", 2_000_000_000),
    ] {
        assert_eq!(read(value), Ok(Some(bytes)), "{value}");
    }
    for value in [
        "MiB",
        "-1",
        "1.5MiB",
        "64 MiB 2",
        "5 TiB",
        "0x10",
        "99999999999GiB",
    ] {
        assert!(read(value).is_err(), "{value}");
    }
}

#[test]
fn a_number_is_digits() {
    let read = |value| one(value).read(|reader| reader.number("NAME", "a number"));
    assert_eq!(read("007"), Ok(Some(7)));
    for value in ["+1", "-1", "1.0", "1e3", "١", "99999999999999999999"] {
        assert!(read(value).is_err(), "{value}");
    }
}

#[test]
fn every_problem_is_reported_once() {
    let settings = Settings::from_pairs([("A", "x"), ("B", "y")]);
    let error = settings
        .read(|reader| {
            reader.number("A", "a number");
            reader.number("A", "a number");
            reader.flag("B");
            reader.refuse("C", "unlucky");
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "A is `x`: a number\n\
         B is `y`: true or false (or 1, 0, yes, no, on, off)\n\
         C is refused: unlucky",
    );
}

#[test]
fn a_value_in_a_message_is_short_and_never_an_address() {
    let message = |value: &str| {
        one(value)
            .read(|reader| reader.number("NAME", "a number"))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(message("a\nb"), "NAME is `a\\nb`: a number");
    assert!(message(&"é".repeat(5000)).len() < 200);
    assert!(!message("redis://:hunter2@h").contains("hunter2"));
    assert!(!message("hunter2@h").contains("hunter2"));
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_refused_when_read() {
    use std::os::unix::ffi::OsStringExt;

    let directory = tempfile::tempdir().unwrap();
    let value = OsString::from_vec(b"hunter\xff".to_vec());
    let settings = Settings::load_from([(OsString::from("A"), value)], directory.path()).unwrap();

    assert_eq!(text(&settings, "B"), None);
    let error = settings.read(|reader| reader.secret("A")).unwrap_err();
    assert_eq!(error.to_string(), "A is not UTF-8: a text in UTF-8");
}

#[test]
fn debug_shows_names_and_no_values() {
    let settings = Settings::from_pairs([("REDIS_PASSWORD", "hunter2")]);
    let shown = format!("{settings:?}");
    assert!(shown.contains("REDIS_PASSWORD"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    #[test]
    fn no_value_makes_a_getter_panic(value in ".*") {
        let _ = one(&value).read(|reader| {
            reader.text("NAME");
            reader.number("NAME", "a number");
            reader.bytes("NAME", "bytes");
            reader.flag("NAME");
            reader.secret("NAME");
            reader.url("NAME");
        });
    }

    #[test]
    fn no_file_makes_loading_panic_or_quote_it(dotenv in "(A=MARK)?.*\n.*", file in "(a='MARK)?.*\n.*") {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".env"), dotenv).unwrap();
        fs::write(directory.path().join("aside.toml"), file).unwrap();
        if let Err(error) = load(&[], directory.path()) {
            prop_assert!(!error.to_string().contains("MARK"));
        }
    }
}
