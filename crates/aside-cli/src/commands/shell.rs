//! `aside completions` and `aside man`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{Code, Failure};
use crate::output::printed;

pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "aside", &mut text);
    printed(&String::from_utf8_lossy(&text), Code::Good)
}

/// Writes a page for the program and one for each command.
pub(super) fn man(directory: &Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Arguments::command(), directory).map_err(|error| {
        let directory = directory.display();
        Failure::new(Code::Usage, format!("cannot write to {directory}: {error}"))
    })
}
