//! `tales export` and `tales import`

use std::path::{Path, PathBuf};

use tokio::fs::{File, rename};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::io::{stdin, stdout};

use super::failure::Failure;
use super::opened;
use super::progress::Progress;
use crate::AppSettings;
use crate::sql::Database;
use crate::transfer;

pub(super) async fn export(file: &Path, settings: &AppSettings) -> Result<(), Failure> {
    let database = opened::open_database(settings).await?;
    let exported = if is_a_stream(file) {
        write(&database, &mut BufWriter::new(stdout())).await
    } else {
        to_file(&database, file).await
    };
    database.close().await;
    // Standard output may be the export itself.
    eprintln!("{} rows exported", exported?);
    Ok(())
}

/// Under another name until it is whole, so that an export which stopped is
/// never taken for one.
async fn to_file(database: &Database, file: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::new(&format!("cannot write {}", file.display()), error);
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut out = File::create(&partial).await.map_err(failed)?;
    let rows = write(database, &mut BufWriter::new(&mut out)).await?;
    out.sync_all().await.map_err(failed)?;
    rename(&partial, file).await.map_err(failed)?;
    Ok(rows)
}

async fn write(database: &Database, out: &mut (impl AsyncWrite + Unpin)) -> Result<u64, Failure> {
    let mut progress = Progress::new("exporting", None);
    let exported = transfer::export(database, out, |done| progress.reached(done)).await;
    progress.finish();
    let exported = exported.map_err(|error| Failure::new("the export stopped", error))?;
    out.flush()
        .await
        .map_err(|error| Failure::new("the export stopped", error))?;
    Ok(exported)
}

/// Reads a file without writing any of it.
pub(super) async fn check(file: &Path) -> Result<(), Failure> {
    let rows = if is_a_stream(file) {
        count(BufReader::new(stdin())).await?
    } else {
        count(open(file).await?).await?
    };
    println!("{rows} rows can be read");
    Ok(())
}

pub(super) async fn import(file: &Path, settings: &AppSettings) -> Result<(), Failure> {
    if is_a_stream(file) {
        return add(BufReader::new(stdin()), None, settings).await;
    }
    // Read twice, so that a mistake on the last line is met before the first
    // is written, and so that the bar knows where it ends.
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
    println!(
        "{} rows added, {} were there already, in {:.1} s",
        sum.added,
        sum.present,
        elapsed.as_secs_f64()
    );
    Ok(())
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
