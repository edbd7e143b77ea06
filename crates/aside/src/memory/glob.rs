//! Glob patterns of `SCAN ... MATCH`.
//!
//! `*` matches any bytes, `?` any one byte, `[a-c]` and `[^x]` a class, and `\`
//! takes the next byte literally. As in Redis, patterns match bytes rather than
//! characters, and a pattern that ends early is not an error.

/// Returns true if all of `text` matches `pattern`.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where to resume if the last star has to take one byte more. Only the last
    // star matters, because it can take any bytes that an earlier one could. So
    // a hostile pattern costs a product of the lengths, not a power.
    let mut star = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, read));
            at += 1;
            continue;
        }
        match (at < pattern.len(), text.get(read)) {
            (false, None) => return true,
            (true, Some(byte)) => {
                let (fits, length) = one(&pattern[at..], *byte);
                if fits {
                    at += length;
                    read += 1;
                    continue;
                }
            }
            _ => {}
        }
        match star {
            Some((after, taken)) if taken < text.len() => {
                star = Some((after, taken + 1));
                at = after;
                read = taken + 1;
            }
            _ => return false,
        }
    }
}

/// Returns whether `byte` matches the first element of `pattern`, and that
/// element's length.
fn one(pattern: &[u8], byte: u8) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (fits, length) = in_class(class, byte);
            (fits, 1 + length)
        }
        [b'\\', literal, ..] => (*literal == byte, 2),
        [literal, ..] => (*literal == byte, 1),
        [] => (false, 0),
    }
}

/// The same for a class, after its bracket. A class without an end extends to
/// the end of the pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &class[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                found |= *literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [low, b'-', high, ..] => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("hero:*", "hero:1"),
            ("*:lang:*", "hero:lang:en"),
            ("h?ro", "hero"),
            ("[a-c]x", "bx"),
            ("[c-a]x", "bx"),
            ("[^a]x", "bx"),
            (r"a\*b", "a*b"),
            (r"[\]]", "]"),
            ("[ab", "b"),
            ("a*b*c", "a-b-b-c"),
            ("\\", "\\"),
            ("**a**", "bab"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
        for (pattern, text) in [
            ("hero:*", "story:1"),
            ("h?ro", "hro"),
            ("[a-c]x", "dx"),
            ("[^a]x", "ax"),
            (r"a\*b", "axb"),
            ("[]", "]"),
            ("hero", "hero:1"),
            ("a*b", "a-c"),
            ("", "a"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_in_time() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!matches(pattern.as_bytes(), &[b'a'; 4000]));
    }
}
