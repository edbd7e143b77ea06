//! Logs, to standard error.
//!
//! A separate thread writes them from a bounded queue, so no task ever waits
//! for the log. If the disk is full, or the collector has ended or stopped
//! reading, lines are lost. The number lost is logged once lines can be written
//! again.

use std::io::{self, IsTerminal as _, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::say::printable;
use crate::{AppSettings, LogFormat};

/// The maximum number of lines in the queue; further lines are lost.
const MAX_WAITING: usize = 10_000;

/// The maximum time that the end of the program waits for queued lines.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Reports that all lines before it are written.
    End(SyncSender<()>),
}

/// The queue of lines that are to be written.
#[derive(Clone, Debug)]
struct Queue {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
    /// True if lines are text without colours. `tracing` does not escape a
    /// server's text in them, so it is escaped here.
    plain: bool,
}

/// Each call passes one whole line.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let line_to_write = if self.plain {
            let text = String::from_utf8_lossy(line);
            format!("{}\n", printable(text.trim_end())).into_bytes()
        } else {
            line.to_vec()
        };
        if self
            .messages
            .try_send(Message::Line(line_to_write))
            .is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits on drop, at the end of the program, until queued lines are written.
#[derive(Debug, Default)]
pub(super) struct Logs(Option<Queue>);

impl Drop for Logs {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let (written, all_written) = sync_channel(1);
        // If the queue is full, the thread is stuck and will not reply.
        if queue.messages.try_send(Message::End(written)).is_ok() {
            let _ = all_written.recv_timeout(PATIENCE);
        }
    }
}

/// Begins to log as the settings say. Changes nothing if the process logs
/// already. `with_a_bar` says that a progress bar is drawn in a terminal, and
/// log lines would break it up.
pub(super) fn begin(settings: &AppSettings, with_a_bar: bool) -> Logs {
    let level = settings.log_level.unwrap_or_else(|| {
        if with_a_bar && stderr().is_terminal() {
            LevelFilter::WARN
        } else {
            LevelFilter::INFO
        }
    });
    // At DEBUG a query or an HTTP frame says less than the log line of its
    // caller.
    let chatty = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    let filter = format!("{level},sqlx={chatty},hyper={chatty},hyper_util={chatty}");
    let coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let plain = settings.log_format == LogFormat::Text && !coloured;
    let Ok(queue) = start(plain) else {
        return Logs(None);
    };
    let writer = queue.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(move || writer.clone())
        .with_ansi(coloured)
        // It would print internal errors to standard error, and panic if it
        // cannot.
        .log_internal_errors(false);
    let _ = match settings.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Logs(Some(queue))
}

fn start(plain: bool) -> io::Result<Queue> {
    let (messages, waiting) = sync_channel(MAX_WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let counted = lost.clone();
    thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || write_from(&waiting, &counted))?;
    Ok(Queue {
        messages,
        lost,
        plain,
    })
}

fn write_from(waiting: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(message) = waiting.recv() {
        match message {
            Message::Line(line) if stderr().write_all(&line).is_err() => {
                lost.fetch_add(1, Ordering::Relaxed);
            }
            Message::Line(_) => {
                let lines = lost.swap(0, Ordering::Relaxed);
                if lines != 0 {
                    tracing::warn!(lines, "log lines lost: standard error could not be written");
                }
            }
            Message::End(written) => {
                let _ = written.send(());
            }
        }
    }
}
