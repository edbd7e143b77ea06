//! The namespace: the first part of every key and of the channel of one
//! service. Only this file knows how it is separated from the rest.

/// A namespace; the empty one adds nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespace<'a>(pub(crate) &'a str);

/// A kind's name is never this one, so no key of a kind collides with the
/// library's own.
const OWN: &str = "aside";

impl Namespace<'_> {
    const SEPARATOR: char = ':';

    /// Appends this namespace and its separator to an empty key.
    pub(crate) fn begin(self, text: &mut String) {
        if !self.0.is_empty() {
            text.push_str(self.0);
            text.push(Self::SEPARATOR);
        }
    }

    /// Returns the text that all keys of the namespace begin with.
    pub(crate) fn root(self) -> String {
        let mut text = String::new();
        self.begin(&mut text);
        text
    }

    /// Returns the text that all keys of a kind begin with.
    pub(crate) fn prefix(self, kind: &str) -> String {
        format!("{}{kind}{}", self.root(), Self::SEPARATOR)
    }

    /// Returns a key of the library itself.
    pub(crate) fn own_key(self, name: &str) -> String {
        self.prefix(OWN) + name
    }

    /// Returns the channel of the invalidations.
    pub(crate) fn channel(self) -> String {
        self.own_key("invalidate")
    }

    /// Returns the part of a key behind its namespace; `None` if it is in
    /// another.
    pub(crate) fn strip(self, key: &str) -> Option<&str> {
        match self.0 {
            "" => Some(key),
            name => key.strip_prefix(name)?.strip_prefix(Self::SEPARATOR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_namespace_adds_nothing() {
        let [none, prod] = ["", "prod"].map(Namespace);
        assert_eq!(none.prefix("hero"), "hero:");
        assert_eq!(prod.prefix("hero"), "prod:hero:");
        assert_eq!(none.channel(), "aside:invalidate");
        assert_eq!(prod.own_key("epochs"), "prod:aside:epochs");
    }

    #[test]
    fn a_key_of_a_longer_namespace_is_not_in_this_one() {
        assert_eq!(Namespace("prod").strip("prod:hero:1"), Some("hero:1"));
        assert_eq!(Namespace("prod").strip("prod2:hero:1"), None);
        assert_eq!(Namespace("").strip("hero:1"), Some("hero:1"));
    }
}
