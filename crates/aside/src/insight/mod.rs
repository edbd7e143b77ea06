//! Counters, event trails and the audit of reads and writes, for operators.

pub(crate) mod counters;
pub(crate) mod samples;
mod heavy_keeper;
pub(crate) mod heat;
pub(crate) mod trail;
pub(crate) mod audit;
mod labels;
pub(crate) mod histogram;
mod bursts;
pub(crate) mod indexes;
pub(crate) mod statistics;
mod values;
pub(crate) mod records;
pub(crate) mod warm_ups;
