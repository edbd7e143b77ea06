//! The page for operators, in a real browser.
//!
//! A machine without Chromium, its driver or axe-core skips these tests with a line;
//! `scripts/setup` installs them. With `CI` in the environment they fail instead.

mod contrast;
#[path = "../admin/heroes.rs"]
#[allow(dead_code)] // Shared with the tests of the routes, which use more of it.
mod heroes;
mod page;
mod charts;
mod fleet;
mod keys;
mod outages;
mod purge;
mod tokens;

/// The maximum time for anything that the tests wait for.
const SOON: std::time::Duration = std::time::Duration::from_secs(40);
