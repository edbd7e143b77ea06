//! Times and numbers for people.

/// Formats milliseconds: `44 ms`, `1.9 s`, `38 s`, `2 min 16 s`, `3 h 5 min`.
pub(super) fn span(millis: f64) -> String {
    // Negative only if a clock went back.
    let millis = millis.max(0.0);
    let seconds = millis / 1e3;
    // Below 2^53, so nothing is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds as u64;
    match whole {
        0 if millis < 10.0 => format!("{} ms", (millis * 10.0).round() / 10.0),
        0 => format!("{millis:.0} ms"),
        1..=9 => format!("{seconds:.1} s"),
        10..=59 => format!("{whole} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// Formats a number with commas between thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Formats a count with its noun: `1 key`, `2 keys`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, shown) in [
            (0.31, "0.3 ms"),
            (44.0, "44 ms"),
            (1_900.0, "1.9 s"),
            (38_021.0, "38 s"),
            (136_000.0, "2 min 16 s"),
            (11_100_000.0, "3 h 5 min"),
        ] {
            assert_eq!(span(millis), shown);
        }
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(
            (number(12), number(123)),
            ("12".to_owned(), "123".to_owned())
        );
        assert_eq!(counted(1, "key"), "1 key");
    }
}
