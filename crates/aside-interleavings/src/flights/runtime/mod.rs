//! The library's `runtime`, with the types of shuttle.

pub(crate) mod sync;
