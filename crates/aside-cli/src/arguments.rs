//! The arguments of all commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Inspects and corrects a live aside cache.
#[derive(Debug, Parser)]
#[command(name = "aside", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Ask this instance: http://HOST:PORT or unix:///PATH of its admin routes, with
    /// ADMIN_TOKEN or ADMIN_READ_TOKEN. Without it, ask the Redis of the settings.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) at: Option<String>,
    /// Print one JSON object.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour the output; `auto` does on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Wait this long for Redis or the instance, such as 500ms or 5s.
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) timeout: Duration,
    /// Show the log of the library on stderr.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// When the output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The checks of `aside doctor`, in the order in which they run.
pub(crate) const CHECKS: [&str; 20] = [
    "reach",
    "memory",
    "eviction",
    "fleet",
    "clock",
    "breaker",
    "pending",
    "journal",
    "settings",
    "versions",
    "shapes",
    "rights",
    "round-trips",
    "latency",
    "persistence",
    "replicas",
    "buffers",
    "ttl",
    "listeners",
    "hearing",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say in one line if Redis is used and all instances are in step.
    Health,
    /// Check Redis and the fleet, and say what to do.
    Doctor(Doctor),
    /// List the instances.
    Fleet,
    /// Show reads, hits and misses of each kind in the last minute.
    Stats,
    /// Advise changes that would pay, with the evidence of each.
    Advise,
    /// Explain one key: its value, and the fate of the next read.
    Explain(Named),
    /// Print the value of a key; from Redis only.
    Get {
        /// The key, as named in Redis.
        key: String,
    },
    /// Invalidate a row, a list or a whole kind on every instance.
    Invalidate(Invalidate),
    /// Print invalidations as they arrive, until ^C.
    Watch(Watch),
    /// Show the health, the instances and the kinds again and again, until ^C.
    Top(Top),
    /// List the keys that an instance reads most often; with --at only.
    Hot(Hot),
    /// Draw the hit ratio with other sizes of the local tier; with --at only.
    Curve(Curve),
    /// Fill the cache ahead of reads; with --at only.
    Warm {
        /// The kinds; all that can be warmed up if none is given.
        kinds: Vec<String>,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages into a directory.
    Man {
        /// The directory, which must exist.
        directory: PathBuf,
    },
}

impl Command {
    /// Returns its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Doctor(_) => "doctor",
            Self::Fleet => "fleet",
            Self::Stats => "stats",
            Self::Advise => "advise",
            Self::Explain(_) => "explain",
            Self::Get { .. } => "get",
            Self::Invalidate(_) => "invalidate",
            Self::Watch(_) => "watch",
            Self::Top(_) => "top",
            Self::Hot(_) => "hot",
            Self::Curve(_) => "curve",
            Self::Warm { .. } => "warm",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Run these checks alone, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "CHECK")]
    #[arg(value_parser = PossibleValuesParser::new(CHECKS))]
    pub(crate) only: Vec<String>,
}

/// A key, or a kind with an id or the values of an index.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The key, as named in Redis.
    #[arg(required_unless_present = "kind", conflicts_with = "kind")]
    pub(crate) key: Option<String>,
    /// The kind, in place of a key.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// The id of a row of the kind.
    #[arg(long, requires = "kind", conflicts_with = "index")]
    pub(crate) id: Option<String>,
    /// A field of an index of the kind, once for each of its fields.
    #[arg(long, requires = "kind", value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) index: Vec<(String, String)>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("part").required(true).args(["id", "index", "all"]))]
pub(crate) struct Invalidate {
    /// The kind.
    pub(crate) kind: String,
    /// The id of one row.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// A field of an index, once for each of its fields: one list.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) index: Vec<(String, String)>,
    /// All of the kind.
    #[arg(long)]
    pub(crate) all: bool,
    /// Also the lists that contain the row.
    #[arg(long, requires = "id")]
    pub(crate) with_lists: bool,
    /// Count the keys, and invalidate nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask before a whole kind is invalidated.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Invalidations of this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Invalidations for these reasons, separated by commas: write, request, audit,
    /// journal, probe.
    #[arg(long, value_delimiter = ',', value_name = "REASON")]
    pub(crate) why: Vec<String>,
    /// End after this time, such as 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) lasting: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct Top {
    /// The time between two looks.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub(crate) every: Duration,
    /// End after this many looks.
    #[arg(long, short = 'n', value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Hot {
    /// Keys of this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// At most so many keys, 1 to 128.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=128))]
    pub(crate) limit: u8,
}

#[derive(Args, Debug)]
pub(crate) struct Curve {
    /// One part of the local tier; both if none is given.
    #[arg(value_parser = PossibleValuesParser::new(["rows", "lists"]))]
    pub(crate) pool: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (field, value) = pair.ok_or("it must be FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Parses a time such as `500ms`, `5s` or `2m`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "it must be a number with ms, s or m, as in 5s".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u32 = text[..digits].parse().map_err(|_| wrong())?;
    match &text[digits..] {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(60 * u64::from(number))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("5s"), Ok(Duration::from_secs(5)));
        for wrong in ["", "5", "s", "5h", "-1s", "99999999999999999999m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
