//! Request bodies: every wrong field is named in one error.

use serde_json::{Value, json};
use tale_generator::domain::{ChildDraft, Draft as _, HeroDraft, StoryDraft, TaleError};

fn hero() -> Value {
    json!({
        "name": "Ada", "age": 30, "gender": "female", "appearance": "",
        "personality_traits": ["brave"], "interests": [], "strengths": ["logic"],
        "language": "en",
    })
}

fn problems<T: std::fmt::Debug>(parsed: Result<T, TaleError>) -> Vec<String> {
    match parsed {
        Err(TaleError::Invalid(problems)) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect(),
        other => panic!("expected to be refused: {other:?}"),
    }
}

#[test]
fn a_valid_body_may_contain_the_servers_fields() {
    let mut body = hero();
    body["id"] = json!("67e55044-10b1-426f-9247-bb680e5fe0c8");
    body["version"] = json!(3);
    body["created_at"] = json!("2026-01-02T03:04:05.000006Z");
    body["updated_at"] = json!("2026-01-02T03:04:05.000006Z");
    let (draft, echo) = HeroDraft::parse(&body.to_string()).unwrap();
    assert_eq!(draft.name, "Ada");
    assert_eq!(echo.version, Some(3));
    assert_eq!(echo.created_at, echo.updated_at);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let body = json!({
        "name": " \n", "age": 10_000_000_000_u64, "gender": "dragon", "appearance": "a\u{0}b",
        "personality_traits": [], "interests": ["", "ok"], "strengths": "logic",
        "dragon": true, "version": -1,
    });
    let mut named = problems(HeroDraft::parse(&body.to_string()));
    named.sort();
    assert_eq!(
        named,
        [
            "age: must be a whole number from 1 to 2147483647",
            "appearance: must not contain the NUL character",
            "dragon: is not a field",
            "gender: must be one of male, female, other",
            "interests[0]: must not be empty",
            "language: is missing",
            "name: must not be empty",
            "personality_traits: must have at least 1 entry",
            "strengths: must be a list of texts",
            "version: must be a whole number",
        ]
    );
}

#[test]
fn a_body_other_than_an_object_is_refused() {
    for body in [json!([]), json!("hero"), json!(null)] {
        let named = problems(HeroDraft::parse(&body.to_string()));
        assert_eq!(named, [": the body must be a JSON object"]);
    }
}

#[test]
fn numbers_have_their_bounds() {
    for (age, good) in [(0, false), (1, true), (18, true), (19, false), (-1, false)] {
        let body = json!({ "name": "Маша", "age": age, "gender": "female", "interests": [] });
        assert_eq!(ChildDraft::parse(&body.to_string()).is_ok(), good, "{age}");
    }
    for (rating, length, good) in [
        (1, 1, true),
        (10, 60, true),
        (0, 1, false),
        (11, 1, false),
        (5, 0, false),
    ] {
        let body = json!({
            "title": "t", "content": "c", "moral": "m", "language": "ru",
            "rating": rating, "story_length": length,
        });
        assert_eq!(
            StoryDraft::parse(&body.to_string()).is_ok(),
            good,
            "{rating} {length}"
        );
    }
}

#[test]
fn texts_have_their_bounds() {
    let mut body = hero();
    body["name"] = json!("я".repeat(200));
    assert!(HeroDraft::parse(&body.to_string()).is_ok());
    body["name"] = json!("я".repeat(201));
    let named = problems(HeroDraft::parse(&body.to_string()));
    assert_eq!(named, ["name: must have at most 200 characters"]);
}

#[test]
fn json_inside_a_story_is_checked_too() {
    let body = json!({
        "title": "t", "content": "c", "moral": "m", "language": "ru", "child_id": null,
        "audio_file": { "url": "", "provider": "p", "metadata": null },
        "generation_info": { "deep": [{ "nul\u{0}": 1 }] },
    });
    let named = problems(StoryDraft::parse(&body.to_string()));
    assert_eq!(
        named,
        [
            "audio_file.url: must not be empty",
            "generation_info: must not contain the NUL character",
        ]
    );
}
