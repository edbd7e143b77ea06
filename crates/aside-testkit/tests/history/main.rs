//! What the history checker promises: it accepts what is right, and finds
//! everything that is wrong.

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
