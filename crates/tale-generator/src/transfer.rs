//! Export and import as JSON lines: one row per line, with its kind.
//!
//! An export reads one snapshot: children and heroes before the stories that
//! name them. An import keeps ids, timestamps and versions. It writes in
//! batches, one transaction each. So a large file neither blocks other writers
//! nor exceeds the time limit of a transaction. It stops at the first bad line
//! and names it. A second run skips rows that are already stored and equal in
//! every field. [`check`] reads a whole file and writes nothing.

use std::collections::BTreeMap;
use std::io;

use aside::CacheService;
use serde::de::IgnoredAny;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use uuid::Uuid;

use crate::domain::{Record, TaleError};
use crate::sql::{BATCH, BatchError, Database, Inserted, Snapshot, insert_batch};

/// Why an export or import stopped.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A line that cannot be imported. Lines before it may be imported already.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// The problem with the line.
        problem: String,
    },
    /// The database failed; nothing of the current batch was written.
    #[error(transparent)]
    Database(#[from] TaleError),
    /// The file could not be read or written.
    #[error("the file could not be read or written")]
    File(#[from] io::Error),
}

/// Writes every row and returns the number of rows. Calls `progress` with the
/// number written so far.
///
/// # Errors
/// [`TransferError::Database`] and [`TransferError::File`].
pub async fn export(
    database: &Database,
    out: &mut (impl AsyncWrite + Unpin),
    mut progress: impl FnMut(u64),
) -> Result<u64, TransferError> {
    let mut snapshot = Snapshot::begin(database).await?;
    let mut written = 0;
    for kind in ["child", "hero", "story"] {
        let mut after = Uuid::nil();
        loop {
            let page = match kind {
                "child" => snapshot.children(after).await?,
                "hero" => snapshot.heroes(after).await?,
                _ => snapshot.stories(after).await?,
            };
            let Some(last) = page.last() else { break };
            after = last.id();
            let mut lines = Vec::new();
            for record in &page {
                serde_json::to_writer(&mut lines, record).map_err(io::Error::from)?;
                lines.push(b'\n');
            }
            out.write_all(&lines).await?;
            written += page.len() as u64;
            progress(written);
        }
    }
    out.flush().await?;
    Ok(written)
}

/// Reads every line without writing any, and returns the number of rows. It
/// does not check that the children and heroes of a story exist; the import
/// does.
///
/// # Errors
/// [`TransferError::Line`] for the first bad line, [`TransferError::File`].
pub async fn check(file: impl AsyncBufRead + Unpin) -> Result<u64, TransferError> {
    let mut reader = Lines::new(file);
    let mut rows = 0;
    while reader.next().await?.is_some() {
        rows += 1;
    }
    Ok(rows)
}

/// Adds every row of a file. Calls `progress` with the counts so far. The
/// caches of a running system are notified of every row.
///
/// # Errors
/// [`TransferError::Line`] for the first bad line: batches before it stay.
pub async fn import(
    database: &Database,
    cache: &CacheService,
    file: impl AsyncBufRead + Unpin,
    mut progress: impl FnMut(Inserted),
) -> Result<Inserted, TransferError> {
    let mut reader = Lines::new(file);
    let mut sum = Inserted::default();
    let mut lines = Vec::with_capacity(BATCH);
    let mut records = Vec::with_capacity(BATCH);
    loop {
        let next = reader.next().await?;
        let ended = next.is_none();
        if let Some((line, record)) = next {
            lines.push(line);
            records.push(record);
        }
        if BATCH <= records.len() || ended {
            let mut write = cache.write();
            let inserted = insert_batch(database, &records, &mut write)
                .await
                .map_err(|error| at_line(error, &lines))?;
            write.committed().await;
            sum.added += inserted.added;
            sum.present += inserted.present;
            progress(sum);
            lines.clear();
            records.clear();
        }
        if ended {
            return Ok(sum);
        }
    }
}

fn at_line(failed: BatchError, lines: &[u64]) -> TransferError {
    let line = failed.index.and_then(|index| lines.get(index));
    match (line, failed.error) {
        // A fault of the database, not of the line: the same line may succeed
        // later.
        (_, error @ (TaleError::Busy | TaleError::Database(_))) | (None, error) => error.into(),
        (Some(&line), error) => TransferError::Line {
            line,
            problem: error.to_string(),
        },
    }
}

/// The longest line in bytes. It exceeds the longest row even if every
/// character of its text is escaped.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// The longest problem message, in characters, because it may quote the line.
const MAX_PROBLEM: usize = 500;

/// The rows of a file with the numbers of their lines.
struct Lines<R> {
    file: R,
    line: u64,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    fn new(file: R) -> Self {
        Self { file, line: 0 }
    }

    /// Returns the next row and its line number. Skips empty lines.
    async fn next(&mut self) -> Result<Option<(u64, Record)>, TransferError> {
        loop {
            let mut bytes = Vec::new();
            let mut line = (&mut self.file).take(MAX_LINE + 1);
            if line.read_until(b'\n', &mut bytes).await? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let record = parse(&bytes).map_err(|problem| TransferError::Line {
                line: self.line,
                problem: problem.chars().take(MAX_PROBLEM).collect(),
            })?;
            return Ok(Some((self.line, record)));
        }
    }
}

fn parse(line: &[u8]) -> Result<Record, String> {
    if MAX_LINE < line.len() as u64 {
        return Err(format!("has more than {MAX_LINE} bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let record = Record::parse(text).map_err(|error| error.to_string())?;
    refuse_unknown_fields(text, &record)?;
    record.validate().map_err(|error| error.to_string())?;
    Ok(record)
}

/// The stored types ignore unknown fields, because a cache may hold rows of a
/// newer version. In a file, an unknown field is a mistake that would lose
/// data.
fn refuse_unknown_fields(text: &str, record: &Record) -> Result<(), String> {
    let written = serde_json::to_string(record).map_err(|error| error.to_string())?;
    let read = fields(&written)?;
    match fields(text)?
        .into_keys()
        .find(|field| !read.contains_key(field))
    {
        Some(field) => Err(format!("`{field}` is not a field of a {}", record.kind())),
        None => Ok(()),
    }
}

fn fields(text: &str) -> Result<BTreeMap<String, IgnoredAny>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
