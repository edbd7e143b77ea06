//! `tales export` and `tales import`

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::io::{stdin, stdout};

use super::failure::Failure;
use super::opened;
use super::progress::Progress;
use super::say;
use crate::AppSettings;
use crate::sql::{Database, Inserted};
use crate::transfer::{self, TransferError};

pub(super) async fn export(file: &Path, settings: &AppSettings) -> Result<(), Failure> {
    let database = opened::open_database(settings).await?;
    let exported = to(&database, file).await;
    database.close().await;
    match exported {
        // Standard output may be the export itself.
        Ok(rows) => say::beside(&format!("{rows} rows exported")),
        // A closed pipe: its reader has read enough.
        Err(TransferError::File(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            let what = format!("the export to {} stopped", file.display());
            return Err(Failure::new(&what, error));
        }
    }
    Ok(())
}

async fn to(database: &Database, file: &Path) -> Result<u64, TransferError> {
    if is_a_stream(file) {
        return write(database, &mut BufWriter::new(stdout())).await;
    }
    let Some((path, mode)) = file_to_replace(file)? else {
        let mut out = OpenOptions::new().write(true).open(file).await?;
        return write(database, &mut BufWriter::new(&mut out)).await;
    };
    // The export has a temporary name until it is complete, so that a partial
    // export is never mistaken for a whole one. No file has that name, and no
    // symbolic link either.
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let mut partial = tempfile::Builder::new();
    partial.prefix(&prefix).suffix(".partial").rand_bytes(12);
    partial.permissions(Permissions::from_mode(mode.unwrap_or(0o666)));
    let (out, partial) = partial.tempfile_in(directory)?.into_parts();
    if let Some(mode) = mode {
        out.set_permissions(Permissions::from_mode(mode))?;
    }
    let mut out = File::from_std(out);
    let rows = write(database, &mut BufWriter::new(&mut out)).await?;
    out.sync_all().await?;
    partial.persist(&path).map_err(|error| error.error)?;
    // The rows are on disk already. The sync decides only which file the name
    // refers to after a power cut, and some file systems refuse it.
    let _ = fs::File::open(directory).and_then(|directory| directory.sync_all());
    Ok(rows)
}

/// Returns the path of the regular file that `file` refers to, and its
/// permissions if it exists. Returns `None` for a device or a pipe, which is
/// written and never replaced. A symbolic link stays a link.
fn file_to_replace(file: &Path) -> io::Result<Option<(PathBuf, Option<u32>)>> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => {
            refuse_a_database(file)?;
            let mode = metadata.permissions().mode() & 0o777;
            Ok(Some((fs::canonicalize(file)?, Some(mode))))
        }
        Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if file.is_symlink() {
                let message = "it is a symbolic link to a file that does not exist";
                return Err(io::Error::new(ErrorKind::NotFound, message));
            }
            Ok(Some((std::path::absolute(file)?, None)))
        }
        Err(error) => Err(error),
    }
}

/// Refuses to replace a SQLite database, which may be the exported one.
fn refuse_a_database(file: &Path) -> io::Result<()> {
    const HEADER: &[u8] = b"SQLite format 3\0";
    let mut begin = Vec::new();
    // A file that cannot be read may still be replaced.
    let _ = fs::File::open(file).map(|file| file.take(16).read_to_end(&mut begin));
    if begin != HEADER {
        return Ok(());
    }
    let message = "it is a SQLite database, which an export never replaces: name another file";
    Err(io::Error::new(ErrorKind::AlreadyExists, message))
}

async fn write(
    database: &Database,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, TransferError> {
    let mut progress = Progress::new("exporting", None);
    let exported = transfer::export(database, out, |done| progress.reached(done)).await;
    progress.finish();
    out.flush().await?;
    exported
}

/// Reads a file without writing any of it.
pub(super) async fn check(file: &Path) -> Result<(), Failure> {
    let rows = if is_a_stream(file) {
        count(BufReader::new(stdin())).await?
    } else {
        count(open(file).await?).await?
    };
    say::result(&format!("{rows} rows can be read"))
}

pub(super) async fn import(file: &Path, settings: &AppSettings) -> Result<(), Failure> {
    if is_a_stream(file) {
        return add(BufReader::new(stdin()), None, settings).await;
    }
    // The file is read twice. So a mistake on the last line is found before any
    // row is written, and the bar knows the total.
    let rows = count(open(file).await?).await?;
    add(open(file).await?, Some(rows), settings).await
}

async fn add(
    file: impl AsyncBufRead + Unpin,
    rows: Option<u64>,
    settings: &AppSettings,
) -> Result<(), Failure> {
    let tales = opened::open(settings).await?;
    opened::warn_of_what_is_not_heard(&tales);
    let mut progress = Progress::new("importing", rows);
    let imported = transfer::import(&tales.database, tales.cache(), file, |sum| {
        progress.reached(sum.added + sum.present);
    });
    let imported = imported.await;
    let elapsed = progress.finish();
    opened::close(&tales).await;
    let sum = imported.map_err(|error| Failure::new("the import stopped", error))?;
    say::result(&sum_up(sum, elapsed))
}

/// Summarises the added rows in one line.
pub(super) fn sum_up(sum: Inserted, elapsed: Duration) -> String {
    format!(
        "{} rows added, {} were there already, in {:.1} s",
        sum.added,
        sum.present,
        elapsed.as_secs_f64()
    )
}

async fn count(file: impl AsyncBufRead + Unpin) -> Result<u64, Failure> {
    transfer::check(file)
        .await
        .map_err(|error| Failure::new("nothing was imported", error))
}

async fn open(file: &Path) -> Result<BufReader<File>, Failure> {
    let opened = File::open(file).await;
    let failed = |error| Failure::new(&format!("cannot read {}", file.display()), error);
    opened.map(BufReader::new).map_err(failed)
}

fn is_a_stream(file: &Path) -> bool {
    file.as_os_str() == "-"
}
