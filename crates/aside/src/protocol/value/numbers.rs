//! The numbers in a value, which every hit parses.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The value of a character as a digit; 16 if it is not one.
const DIGITS: [u8; 256] = {
    let mut digits = [16; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Parses up to 16 hex digits. Every read parses several, so digits are checked
/// only once at the end.
pub(super) fn hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let digit = DIGITS[usize::from(*digit)];
        all |= digit;
        number = number << 4 | u64::from(digit & 15);
    }
    (all < 16).then_some(number)
}

/// Parses a decimal number, if it fits into 64 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let (sure, rest) = digits.split_at(digits.len().min(19));
    let (mut number, mut largest) = (0, 0);
    for digit in sure {
        let digit = DIGITS[usize::from(*digit)];
        largest = largest.max(digit);
        number = number * 10 + u64::from(digit);
    }
    for digit in rest {
        let digit = DIGITS[usize::from(*digit)];
        largest = largest.max(digit);
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    (largest < 10).then_some(number)
}

/// Parses a time in the form that values use, `2026-01-02T03:04:05.678Z`. A
/// parser of every valid form takes as long as parsing a small row.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [4, 7, 10, 13, 16, 19, 23].map(|at| text[at]);
    if marks != *b"--T::.Z" {
        return None;
    }
    let number = |begin: usize, end: usize| decimal(&text[begin..end]);
    let small = |begin: usize, end: usize| i8::try_from(number(begin, end)?).ok();
    let (year, millis) = (number(0, 4)?, number(20, 23)?);
    let written = DateTime::new(
        i16::try_from(year).ok()?,
        small(5, 7)?,
        small(8, 10)?,
        small(11, 13)?,
        small(14, 16)?,
        small(17, 19)?,
        i32::try_from(millis * 1_000_000).ok()?,
    );
    Offset::UTC.to_timestamp(written.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invalid_times_and_numbers_are_refused() {
        for text in [
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-04-31T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T00:60:00.000Z",
            "2026-01-01T00:00:61.000Z",
            "2026-01-01 00:00:00.000Z",
            "2026-01-01T00:00:00.0x0Z",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b"1a"), None);
        assert_eq!(hex(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(hex(b"fg"), None);
    }

    proptest! {
        #[test]
        fn a_time_survives_a_round_trip(millis in -62_167_219_200_000..253_402_207_200_000_i64) {
            let at = Timestamp::from_millisecond(millis).unwrap();
            prop_assert_eq!(time(&format!("{at:.3}")), Some(at));
        }
    }
}
