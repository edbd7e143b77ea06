//! The promises of the history checker: it accepts correct histories and finds
//! every error in the others.

mod absences;
mod bad_builds;
mod cache_aside;
mod files;
mod lists;
mod properties;
mod reads;
mod reports;
mod scenario;
mod simulation;
mod speed;
mod writes;
