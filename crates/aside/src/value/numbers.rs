//! The numbers in a value, which are read in every hit.

use jiff::Timestamp;

/// What a character is worth as a digit; 16 where it is none.
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

/// The number that up to 16 hex digits say. There are some in every value that
/// is read, so nothing is asked about a digit before the last one.
pub(super) fn hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let digit = DIGITS[usize::from(*digit)];
        all |= digit;
        number = number << 4 | u64::from(digit & 15);
    }
    (all < 16).then_some(number)
}

/// The number that digits say, if 64 bits hold it.
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

/// The time that values are written with, as `2026-01-02T03:04:05.678Z`. A parser of
/// all that a time may look like takes as long as that of a small row.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [4, 7, 10, 13, 16, 19, 23].map(|at| text[at]);
    if marks != *b"--T::.Z" {
        return None;
    }
    let number = |begin: usize, end: usize| i64::try_from(decimal(&text[begin..end])?).ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The days since 1970 of a calendar that begins in March, with its leap
    // day at the end of a year.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::from_millisecond(seconds * 1000 + number(20, 23)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_and_numbers_that_do_not_exist_are_refused() {
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
        fn a_time_is_read_as_it_was_written(millis in -62_167_219_200_000..253_402_207_200_000_i64) {
            let at = Timestamp::from_millisecond(millis).unwrap();
            prop_assert_eq!(time(&format!("{at:.3}")), Some(at));
        }
    }
}
