//! `aside`: what an operator asks of a live cache, from Redis or from an instance.
//!
//! Every command asks the routes of `aside-admin`: those of the instance that `--at`
//! names, or else those of a router in this process, over the Redis of the settings.
//! So both ways have one form of answers. Results go to stdout, all else to stderr.

mod failure;
mod arguments;
mod output;
mod target;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::output::Output;

fn main() -> ExitCode {
    // Refused arguments exit with 2, help with 0.
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        output::note("aside: this machine has no resources for a runtime");
        return ExitCode::from(failure::Code::Usage as u8);
    };
    let output = Output::new(&arguments);
    if arguments.verbose {
        log();
    }
    let code = runtime.block_on(async {
        tokio::select! {
            code = commands::run(&arguments, &output) => code,
            Ok(()) = tokio::signal::ctrl_c() => INTERRUPTED,
        }
    });
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// The exit code of a program that SIGINT ends.
const INTERRUPTED: u8 = 130;

/// Shows the log of the library on stderr. It has no secrets, as in a service.
fn log() {
    use tracing_subscriber::filter::LevelFilter;
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::DEBUG)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
