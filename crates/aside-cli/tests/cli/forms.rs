//! `--json` of every command has the fields that `docs/cli.md` lists, and no others.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answers::one_instance;
use crate::program::aside;

/// The documented fields of a command: types by paths.
type Form = BTreeMap<String, String>;

const DOCUMENT: &str = include_str!("../../../../docs/cli.md");

/// Returns the table under the heading of a command.
fn documented(command: &str) -> Form {
    let heading = format!("### `{command}`\n");
    let (_, section) = DOCUMENT.split_once(&heading).expect(command);
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let path = cells.next()?.trim_end_matches('`').to_owned();
        Some((path, cells.next()?.to_owned()))
    });
    rows.collect()
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Compares a value with the form, and records the paths that it has.
fn compare(form: &Form, value: &Value, path: &str, seen: &mut Vec<String>) {
    let has_parts = |mark: &str| {
        let beginning = format!("{path}{mark}");
        form.keys()
            .any(|documented| documented.starts_with(&beginning))
    };
    if let Some(types) = form.get(path) {
        let found = name_of_type(value);
        let is_allowed = types.split(" or ").any(|it| it == found || it == "any");
        assert!(is_allowed, "`{path}` is {found}, documented as {types}");
        seen.push(path.to_owned());
    } else {
        assert!(
            path.is_empty() || has_parts(".") || has_parts("[]"),
            "`{path}` is not documented"
        );
    }
    match value {
        Value::Array(parts) if has_parts("[]") => {
            for part in parts {
                compare(form, part, &format!("{path}[]"), seen);
            }
        }
        Value::Object(parts) if path.is_empty() || has_parts(".") => {
            for (name, part) in parts {
                let name = if has_parts(".*") { "*" } else { name };
                let dot = if path.is_empty() { "" } else { "." };
                compare(form, part, &format!("{path}{dot}{name}"), seen);
            }
        }
        _ => {}
    }
}

#[test]
fn every_command_prints_the_documented_fields() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let at = ["--at", &*instance.url];
    let row = ["invalidate", "hero", "--id", "1"];
    for runs in [
        vec![vec!["health"], [&["health"][..], &at].concat()],
        vec![vec!["doctor"], [&["doctor"][..], &at].concat()],
        vec![vec!["fleet"]],
        vec![vec!["stats"]],
        vec![vec!["advise"], [&["advise"][..], &at].concat()],
        vec![vec!["explain", "hero:1"], vec!["explain", "hero:404"]],
        vec![vec!["get", "hero:1"], vec!["get", "hero:404"]],
        vec![row.to_vec(), [&row[..], &at].concat()],
        vec![[&["hot"][..], &at].concat()],
        vec![[&["curve"][..], &at].concat()],
        vec![[&["warm"][..], &at].concat()],
        vec![[&["watch", "--for", "100ms"][..], &at].concat()],
        vec![vec!["top", "-n", "1"]],
    ] {
        let command = runs[0][0];
        let form = documented(command);
        let mut seen = Vec::new();
        for arguments in runs {
            let run = aside(&url, &[&arguments[..], &["--json"]].concat());
            // A stream has no frame.
            let line = run.out.lines().next().unwrap_or_default();
            let line: Value = serde_json::from_str(line).expect(line);
            compare(&form, line.get("data").unwrap_or(&line), "", &mut seen);
        }
        for path in form.keys() {
            assert!(seen.contains(path), "`{command}` never prints `{path}`");
        }
    }
}
