//! The promises, by who relies on them.

mod plain;
mod reading;
mod writing;

pub(crate) use plain::*;
pub(crate) use reading::*;
pub(crate) use writing::*;
