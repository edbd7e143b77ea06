//! Figures of advice: intervals, and numbers as they are written.

use std::time::Duration;

/// Of the normal distribution, for 95 % of it.
const Z: f64 = 1.96;

const MIB: u64 = 1 << 20;

/// Returns the Wilson interval of a share, `count` of `all`, with 95 %.
#[allow(clippy::cast_precision_loss)]
pub(super) fn interval(count: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (all, share) = (all as f64, count as f64 / all as f64);
    let middle = share + Z * Z / (2.0 * all);
    let half = Z * (share * (1.0 - share) / all + Z * Z / (4.0 * all * all)).sqrt();
    let scale = 1.0 + Z * Z / all;
    (
        ((middle - half) / scale).max(0.0),
        ((middle + half) / scale).min(1.0),
    )
}

/// Returns `count` of `all` as a fraction; zero if there are none.
#[allow(clippy::cast_precision_loss)]
pub(super) fn share(count: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        count as f64 / all as f64
    }
}

/// Returns a fraction in percent.
pub(super) fn percent(fraction: f64) -> String {
    let percent = 100.0 * fraction;
    match percent < 9.95 {
        true => format!("{percent:.1} %"),
        false => format!("{percent:.0} %"),
    }
}

/// Returns a count with separated thousands.
pub(super) fn number(count: f64) -> String {
    if count < 9.95 {
        return format!("{count:.1}");
    }
    let digits = format!("{count:.0}");
    let mut written = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// Returns a size as settings take it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        bytes if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        bytes if bytes.is_multiple_of(1024) => format!("{}KiB", bytes / 1024),
        bytes => bytes.to_string(),
    }
}

/// Returns a time with its unit.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => format!("{:.2} ms", 1000.0 * seconds),
        _ if seconds < 10.0 => format!("{:.0} ms", 1000.0 * seconds),
        _ => format!("{} s", number(seconds)),
    }
}

/// Returns the product; zero if it is negative or no number.
pub(super) fn times(time: Duration, factor: f64) -> Duration {
    let seconds = time.as_secs_f64() * factor;
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_narrows_with_its_counts() {
        let (low, high) = interval(5, 10);
        assert!((low - 0.2366).abs() < 0.001 && (high - 0.7634).abs() < 0.001);
        let (low, high) = interval(5_000, 10_000);
        assert!((low - 0.4902).abs() < 0.001 && (high - 0.5098).abs() < 0.001);
        assert_eq!(interval(0, 0), (0.0, 1.0));
        assert!(interval(0, 100).1 < 0.04);
    }

    #[test]
    fn numbers_are_written_with_their_units() {
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(number(123.0), "123");
        assert_eq!(number(0.84), "0.8");
        assert_eq!(percent(0.031), "3.1 %");
        assert_eq!(percent(0.862), "86 %");
        assert_eq!(bytes(128 * MIB), "128MiB");
        assert_eq!(bytes(1500), "1500");
        assert_eq!(time(Duration::from_micros(300)), "0.30 ms");
        assert_eq!(time(Duration::from_secs(1500)), "1,500 s");
    }
}
