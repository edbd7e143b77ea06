//! Texts that can be logged.

/// Returns a text without control characters, for a log: a server may have sent
/// it.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            plain if !plain.is_control() => shown.push(plain),
            control => shown.extend(control.escape_debug()),
        }
    }
    shown
}
