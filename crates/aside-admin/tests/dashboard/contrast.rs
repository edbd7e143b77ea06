//! The colours of the page have enough contrast in both themes.
//!
//! Computed here, because axe cannot judge text and lines inside SVG.

use std::collections::BTreeMap;

const THEME: &str = include_str!("../../src/dashboard/theme.css");
const STYLE: &str = include_str!("../../src/dashboard/style.css");

/// Texts, and the surfaces behind them: 4.5 to 1.
const TEXTS: [(&str, &[&str]); 9] = [
    ("text", &["page", "panel", "inset"]),
    ("muted", &["page", "panel", "inset"]),
    ("accent", &["page", "panel", "inset"]),
    ("on-accent", &["accent"]),
    ("on-bad", &["bad"]),
    ("good", &["panel", "inset", "good-back"]),
    ("warn", &["panel", "inset", "warn-back"]),
    ("bad", &["panel", "inset", "bad-back"]),
    ("text", &["good-back", "warn-back", "bad-back"]),
];

/// Lines, areas and borders of controls: 3 to 1.
const LINES: [(&str, &[&str]); 9] = [
    ("control", &["page", "panel", "inset"]),
    ("focus", &["page", "panel", "inset"]),
    ("local", &["panel", "inset"]),
    ("shared", &["panel", "inset"]),
    ("absent", &["panel", "inset"]),
    ("stale", &["panel", "inset"]),
    ("database", &["panel", "inset"]),
    ("bad", &["panel"]),
    ("accent", &["panel", "page"]),
];

/// Colours that carry no meaning: lines between rows, and around panels.
const DECORATION: [&str; 1] = ["edge"];

type Rgb = [f64; 3];

/// Returns the light and the dark value of each colour.
fn colours() -> BTreeMap<&'static str, [Rgb; 2]> {
    let lines = THEME.lines().filter_map(|line| {
        let (name, rest) = line
            .trim()
            .strip_prefix("--")?
            .split_once(": light-dark(")?;
        let (light, dark) = rest.strip_suffix(");")?.split_once(", ")?;
        Some((name, [rgb(light), rgb(dark)]))
    });
    lines.collect()
}

fn rgb(text: &str) -> Rgb {
    let digits = text.strip_prefix('#').expect("a hexadecimal colour");
    let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    [0, 2, 4].map(|at| f64::from(part(at)) / 255.0)
}

/// Returns the relative luminance, as WCAG defines it.
fn luminance(colour: Rgb) -> f64 {
    let linear = colour.map(|part| match part <= 0.04045 {
        true => part / 12.92,
        false => ((part + 0.055) / 1.055).powf(2.4),
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Returns a line for each pair with too little contrast.
fn too_weak(pairs: &[(&str, &[&str])], least: f64) -> Vec<String> {
    let colours = colours();
    let mut found = Vec::new();
    for (front, backs) in pairs {
        for back in *backs {
            for (theme, at) in [("light", 0), ("dark", 1)] {
                let ratio = contrast(colours[front][at], colours[back][at]);
                if ratio < least {
                    found.push(format!("{theme}: {front} on {back} is {ratio:.2} to 1"));
                }
            }
        }
    }
    found
}

#[test]
fn every_text_has_a_contrast_of_four_and_a_half_in_both_themes() {
    assert_eq!(too_weak(&TEXTS, 4.5), Vec::<String>::new());
}

#[test]
fn every_line_has_a_contrast_of_three_in_both_themes() {
    assert_eq!(too_weak(&LINES, 3.0), Vec::<String>::new());
}

#[test]
fn every_colour_of_the_theme_is_checked_and_no_other_is_used() {
    for name in colours().keys() {
        let pairs = TEXTS.iter().chain(&LINES);
        let mut checked = pairs.flat_map(|(front, backs)| backs.iter().chain([front]));
        assert!(
            checked.any(|known| known == name) || DECORATION.contains(name),
            "{name}"
        );
    }
    assert!(
        !STYLE.contains('#') || !STYLE.contains("color: #"),
        "a colour of its own"
    );
    for used in STYLE.split("var(--").skip(1) {
        let name = used.split(')').next().unwrap();
        let is_own = STYLE.contains(&format!("--{name}:"));
        assert!(colours().contains_key(name) || is_own, "{name}");
    }
}

#[test]
fn black_on_white_is_twenty_one_to_one() {
    assert!((contrast(rgb("#000000"), rgb("#ffffff")) - 21.0).abs() < 1e-9);
    assert!((contrast(rgb("#777777"), rgb("#ffffff")) - 4.48).abs() < 0.01);
}
