//! The two files that contain settings.
//!
//! The parsers' own messages quote the faulty line, which may contain a
//! password. The messages here name its position instead.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::settings::Layer;

/// Reads a `.env` file; empty if there is none.
///
/// The last of several values of one name wins, as in a shell.
pub(super) fn dotenv(path: &Path, problems: &mut Vec<String>) -> Layer {
    let mut layer = Layer::new();
    let Some(mut text) = contents(path, false, problems) else {
        return layer;
    };
    // dotenvy refuses a last line that ends in a space.
    text.push('\n');
    let text = text.trim_start_matches('\u{feff}');

    let mut last = None;
    for entry in dotenvy::Iter::new(text.as_bytes()) {
        match entry {
            Ok((name, value)) => {
                last = Some(name.clone());
                layer.insert(name, Some(value));
            }
            Err(_) => {
                let place = last.as_ref().map_or_else(
                    || "its first entry".to_owned(),
                    |name| format!("the entry after {name}"),
                );
                problems.push(format!(
                    "{} does not parse at {place}: NAME=value, with quotes around a value that \
                     holds spaces",
                    path.display(),
                ));
                break;
            }
        }
    }
    layer
}

/// Reads a TOML file; names become upper case.
pub(super) fn toml(path: &Path, required: bool, problems: &mut Vec<String>) -> Layer {
    let mut layer = Layer::new();
    let Some(text) = contents(path, required, problems) else {
        return layer;
    };
    entries(path, &text, problems, &mut layer);
    layer
}

#[cfg(not(feature = "config-file"))]
fn entries(path: &Path, _: &str, problems: &mut Vec<String>, _: &mut Layer) {
    problems.push(format!(
        "{} cannot be read: this program was built without the feature `config-file` of aside; \
         set the environment or `.env` in its place",
        path.display(),
    ));
}

#[cfg(feature = "config-file")]
fn entries(path: &Path, text: &str, problems: &mut Vec<String>, layer: &mut Layer) {
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            problems.push(format!(
                "{} does not parse at line {line}: `name = value` in TOML",
                path.display(),
            ));
            return;
        }
    };
    for (key, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                problems.push(format!(
                    "{}: `{}` is a {}: a string, a number or a boolean, and no tables",
                    path.display(),
                    key.escape_debug(),
                    value.type_str(),
                ));
                continue;
            }
        };
        let name = key.to_ascii_uppercase();
        if layer.insert(name.clone(), Some(value)).is_some() {
            problems.push(format!(
                "{}: {name} is given twice, in upper and in lower case",
                path.display(),
            ));
        }
    }
}

fn contents(path: &Path, required: bool, problems: &mut Vec<String>) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound && !required => None,
        Err(error) => {
            let named = if required { "ASIDE_CONFIG names " } else { "" };
            problems.push(format!(
                "{named}{}, which cannot be read: {error}",
                path.display(),
            ));
            None
        }
    }
}
