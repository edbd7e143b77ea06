//! Files of recorded requests.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;

use crate::error::Wrong;

/// The column of the key in a file of several columns, as in `seconds,key,bytes`.
const KEY_COLUMN: usize = 1;

/// Returns the requests, each key as the number of its first appearance. A `.csv` has
/// the key in its second column, any other file is one key per line; both may be
/// compressed (`.zst`).
pub(crate) fn read(path: &Path) -> Result<Vec<u64>, Wrong> {
    let (mut numbers, mut keys) = (HashMap::new(), Vec::new());
    for name in names(path)? {
        let next = numbers.len() as u64;
        keys.push(*numbers.entry(name).or_insert(next));
    }
    Ok(keys)
}

/// Returns the keys of the requests.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "zst") {
        Box::new(StreamingDecoder::new(file).map_err(|error| wrong(&error))?)
    } else {
        Box::new(file)
    };
    let has_columns = path.with_extension("").extension().is_some_and(is_csv)
        || path.extension().is_some_and(is_csv);
    let mut names = Vec::new();
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|error| wrong(&error))?;
        let key = match has_columns {
            true => line.split(',').nth(KEY_COLUMN).unwrap_or_default(),
            false => &line,
        };
        if !key.is_empty() {
            names.push(key.to_owned());
        }
    }
    Ok(names)
}

fn is_csv(ending: &std::ffi::OsStr) -> bool {
    ending == "csv"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, text: &str) -> Vec<u64> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        read(&file).unwrap()
    }

    #[test]
    fn keys_are_numbered_by_their_first_appearance() {
        assert_eq!(read_as("a.keys", "x,1\ny,1\n\nx,1\n"), [0, 1, 0]);
    }

    #[test]
    fn a_csv_has_its_keys_in_the_second_column() {
        assert_eq!(read_as("a.csv", "0,x,9\n1,y,9\n2,x,8\n"), [0, 1, 0]);
    }
}
