//! A journal as the table of hot sets.

use std::time::Duration;

use super::Journal;
use crate::protocol::BoxFuture;
use crate::tiers::hot_table::{HotTable, TableError};

impl<J: Journal> HotTable for J {
    fn parts<'a>(
        &'a self,
        kind: &'a str,
        max_age: Duration,
    ) -> BoxFuture<'a, Result<Vec<String>, TableError>> {
        Box::pin(async move { Ok(self.hot_set(kind, max_age).await?) })
    }

    fn replace<'a>(
        &'a self,
        kind: &'a str,
        parts: &'a [String],
    ) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(async move { Ok(self.replace_hot_set(kind, parts).await?) })
    }
}
