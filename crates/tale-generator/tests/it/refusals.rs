//! Refusing a body costs no more than accepting one.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tale_generator::domain::{Draft as _, HeroDraft, StoryDraft, TaleError};

/// The time limit for an unoptimised build. An earlier quadratic check took
/// minutes.
const SOON: Duration = Duration::from_secs(1);

fn object(fields: impl IntoIterator<Item = String>) -> String {
    format!("{{{}}}", fields.into_iter().collect::<Vec<_>>().join(","))
}

/// Returns the faulty fields, and asserts that the refusal was fast.
fn refused_soon(body: &str) -> Vec<String> {
    let begun = Instant::now();
    let refused = StoryDraft::parse(body);
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    match refused {
        Err(TaleError::Invalid(problems)) => {
            let told = problems.iter().map(|problem| problem.field.clone());
            told.collect()
        }
        other => panic!("expected to be refused: {other:?}"),
    }
}

#[test]
fn a_hundred_thousand_unknown_fields_are_refused_soon() {
    let body = object((0..190_000).map(|number| format!("\"{number:05x}\":1")));
    let named = refused_soon(&body);
    assert_eq!((named.len(), named[0].as_str()), (50, "00000"));
}

#[test]
fn a_field_repeated_a_hundred_thousand_times_is_refused() {
    let body = object((0..100_000).map(|_| "\"title\":\"t\"".to_owned()));
    assert_eq!(refused_soon(&body)[0], "title");
    let body = object((0..100_000).map(|_| "\"generation_info\":[{}]".to_owned()));
    assert!(refused_soon(&body).contains(&"generation_info".to_owned()));
}

#[test]
fn bodies_nested_a_hundred_thousand_deep_are_refused_soon() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused_soon(&nested), [""]);
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(refused_soon(&objects).contains(&"a".to_owned()));
    for field in ["title", "interests", "generation_info", "audio_file"] {
        let body = format!("{{\"{field}\":{nested}}}");
        assert!(refused_soon(&body).contains(&field.to_owned()), "{field}");
    }
    let metadata = format!("{{\"audio_file\":{{\"url\":\"u\",\"metadata\":{nested}}}}}");
    assert!(refused_soon(&metadata).contains(&"audio_file.metadata".to_owned()));
}

#[test]
fn numbers_with_a_million_digits_are_refused_soon() {
    for number in [
        "9".repeat(1_000_000),
        format!("0.{}", "9".repeat(1_000_000)),
        format!("1e{}", "9".repeat(1_000_000)),
    ] {
        for field in ["rating", "version", "title", "generation_info", "x"] {
            let body = format!("{{\"{field}\":{number}}}");
            assert!(refused_soon(&body).contains(&field.to_owned()), "{field}");
        }
    }
}

#[test]
fn a_megabyte_field_name_is_cut_to_a_hundred_characters() {
    let body = format!("{{\"{}\":1}}", "я".repeat(500_000));
    let named = refused_soon(&body);
    let longest = named.iter().map(|field| field.chars().count()).max();
    assert_eq!(longest, Some(103));
}

#[test]
fn lists_of_a_million_entries_are_refused_soon() {
    let mut body = "{\"interests\":[".to_owned();
    for _ in 0..600_000 {
        body.push_str("\"\",");
    }
    let _ = write!(body, "\"\"]}}");
    let begun = Instant::now();
    let Err(TaleError::Invalid(problems)) = HeroDraft::parse(&body) else {
        panic!("expected to be refused");
    };
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(problems.len() <= 50);
}
