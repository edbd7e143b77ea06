//! The promises of the history checker: it accepts correct histories and finds
//! every error in the others.

mod bad_builds;
mod cache_aside;
mod scenario;
mod absences;
mod files;
mod lists;
mod reads;
mod reports;
mod simulation;
mod properties;
mod speed;
mod writes;
