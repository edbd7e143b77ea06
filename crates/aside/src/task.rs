//! Starting a task of this process.
//!
//! The one place where that is done, because a simulated world has several
//! processes in one, and stops and kills them.

#[cfg(not(test))]
pub(crate) use tokio::spawn;

#[cfg(test)]
pub(crate) use crate::simulated::spawn;
