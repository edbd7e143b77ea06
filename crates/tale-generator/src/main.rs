//! `tales`: the reference application of aside.

use std::process::ExitCode;

fn main() -> ExitCode {
    tale_generator::cli::run()
}
