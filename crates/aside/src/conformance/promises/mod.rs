//! The promises, by operation.

mod announcing;
mod bumping;
mod corners;
mod plain;
mod reading;
mod refreshing;
mod releasing;
mod stamping;
mod writing;

pub(crate) use announcing::*;
pub(crate) use bumping::*;
pub(crate) use corners::*;
pub(crate) use plain::*;
pub(crate) use reading::*;
pub(crate) use refreshing::*;
pub(crate) use releasing::*;
pub(crate) use stamping::*;
pub(crate) use writing::*;
