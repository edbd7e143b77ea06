//! The commands, one in each file.

mod times;
mod members;
mod probe;
mod health;
mod fleet;
mod stats;
mod advise;
mod explain;
mod value;
mod invalidate;
mod doctor;
mod watch;
mod top;
mod hot;
mod curve;
mod warm;
mod shell;

use serde_json::Value;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::{Answer, Output};
use crate::target::{Redis, Router, Target};

/// Runs a command. Returns its exit code.
pub(crate) async fn run(arguments: &Arguments, output: &Output) -> u8 {
    match &arguments.command {
        Command::Completions { shell } => return shell::completions(*shell),
        Command::Man { directory } => {
            return match shell::man(directory) {
                Ok(()) => 0,
                Err(failure) => output.failure(&Value::Null, &failure),
            };
        }
        _ => {}
    }
    match &arguments.at {
        Some(url) => match Router::at(url, arguments.timeout) {
            Ok(router) => run_on(&router, arguments, output).await,
            Err(failure) => output.failure(&Value::Null, &failure),
        },
        None => match Redis::connect(arguments.timeout).await {
            Ok(redis) => {
                let code = run_on(&redis, arguments, output).await;
                if let Some(ops) = redis.ops() {
                    ops.close().await;
                }
                code
            }
            Err(failure) => output.failure(&Value::Null, &failure),
        },
    }
}

async fn run_on(target: &impl Target, arguments: &Arguments, output: &Output) -> u8 {
    let shown = target.shown();
    let streamed = match &arguments.command {
        Command::Watch(asked) => watch::run(target, asked, output).await,
        Command::Top(asked) => top::run(target, asked, output).await,
        _ => match answer(target, arguments).await {
            Ok(answer) => return output.answer(&shown, &answer),
            Err(failure) => Err(failure),
        },
    };
    match streamed {
        Ok(code) => code as u8,
        Err(failure) => output.failure(&shown, &failure),
    }
}

async fn answer(target: &impl Target, arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Health => health::run(target).await,
        Command::Doctor(asked) => doctor::run(target, asked, arguments.timeout).await,
        Command::Fleet => fleet::run(target).await,
        Command::Stats => stats::run(target).await,
        Command::Advise => advise::run(target).await,
        Command::Explain(named) => explain::run(target, named).await,
        Command::Get { key } => value::run(target, key).await,
        Command::Invalidate(asked) => invalidate::run(target, asked, arguments).await,
        Command::Hot(asked) => hot::run(target, asked).await,
        Command::Curve(asked) => curve::run(target, asked).await,
        Command::Warm { kinds } => warm::run(target, kinds).await,
        // Run elsewhere.
        Command::Watch(_) | Command::Top(_) | Command::Completions { .. } | Command::Man { .. } => {
            Err(Failure::usage("this command has no single answer"))
        }
    }
}
