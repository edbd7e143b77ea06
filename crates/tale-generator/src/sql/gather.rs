//! Reads the rows of one statement up to a maximum.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use aside_sqlx::TableError;
use futures_util::{Stream, TryStreamExt as _};
use serde::Serialize;

/// Some rows of a list.
#[derive(Debug)]
pub(crate) struct Page<E> {
    pub(crate) rows: Vec<Arc<E>>,
    /// True if more rows follow.
    pub(crate) more: bool,
    /// The size of the rows as JSON.
    pub(crate) bytes: usize,
}

impl<E> Default for Page<E> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            more: false,
            bytes: 0,
        }
    }
}

/// The maximum to read of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) rows: usize,
    /// The size as JSON. One row is read at any size.
    pub(crate) bytes: usize,
}

/// Takes rows until the maximum is reached.
pub(super) async fn gather<T: Serialize>(
    rows: impl Stream<Item = Result<T, TableError>>,
    most: Most,
    wanted: bool,
) -> Result<Page<T>, TableError> {
    let mut rows = pin!(rows);
    let mut page = Page::default();
    while let Some(row) = rows.try_next().await? {
        let bytes = json_bytes(&row)?;
        if most.bytes < page.bytes + bytes && !(wanted && page.rows.is_empty()) {
            page.more = true;
            break;
        }
        page.bytes += bytes;
        page.rows.push(Arc::new(row));
    }
    Ok(page)
}

/// Returns the size of a row in a JSON array.
fn json_bytes<T: Serialize>(row: &T) -> Result<usize, sqlx::Error> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(1);
    let written = serde_json::to_writer(&mut count, row);
    written.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(count.0)
}
