//! One call: a command, or a script with its keys.

use std::borrow::Cow;

use crate::script::Script;

/// The command or the script.
#[derive(Clone, Copy, Debug)]
enum Verb {
    /// A command of this name.
    Command(&'static str),
    /// A script, over the keys of the call.
    Script(&'static Script),
}

/// One call: a command or a script, with its arguments.
///
/// It borrows its words, so that a GET copies its key once, into the buffer that
/// the socket is written from.
#[derive(Clone, Debug)]
pub struct Call<'op> {
    verb: Verb,
    /// The keys of a script. Those of a command are among `args`.
    keys: Vec<Cow<'op, [u8]>>,
    pub(crate) args: Vec<Cow<'op, [u8]>>,
    /// The arguments for each key, of a script that takes several.
    each: Vec<Cow<'op, [u8]>>,
    /// True if ASKING is sent before it.
    asks: bool,
}

/// A server runs nothing else until a script is done, so calls stay short.
const MAX_KEYS_PER_CALL: usize = 50;

impl<'op> Call<'op> {
    /// Starts a call of a command.
    #[must_use]
    pub fn command(name: &'static str) -> Self {
        Self::of(Verb::Command(name))
    }

    /// Starts a call of a script on a key.
    #[must_use]
    pub fn script(script: &'static Script, key: &'op [u8]) -> Self {
        let mut call = Self::of(Verb::Script(script));
        call.keys.push(Cow::Borrowed(key));
        call
    }

    fn of(verb: Verb) -> Self {
        Self {
            verb,
            keys: Vec::new(),
            args: Vec::new(),
            each: Vec::new(),
            asks: false,
        }
    }

    /// Sends ASKING before the call, in the same pipeline. A node takes a call for a
    /// slot that is moving to it only so, after a redirection
    /// [`Ask`](crate::cluster::RedirectKind::Ask).
    ///
    /// A node forgets ASKING with the next call, also if it refuses that one. So a
    /// script that it did not know (`NOSCRIPT`) is repeated with ASKING, as a clone of
    /// this call is.
    ///
    /// The reply to ASKING is dropped, unless the node refused both: then it is the
    /// call's reply, because it is the cause.
    #[must_use]
    pub fn asking(mut self) -> Self {
        self.asks = true;
        self
    }

    /// Returns true if ASKING is sent before the call.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asks
    }

    /// Adds the arguments that a script takes for each of its keys. The arguments
    /// before them it takes once.
    #[must_use]
    pub fn for_each_key(mut self, rest: impl FnOnce(Self) -> Self) -> Self {
        let args = std::mem::take(&mut self.args);
        let mut call = rest(self);
        call.each = std::mem::replace(&mut call.args, args);
        call
    }

    /// Takes over the key of another call, if one call can do the work of both:
    /// the script is the same, it takes arguments for each key, and the others
    /// are equal.
    ///
    /// # Errors
    ///
    /// The other call, if it must be made by itself.
    pub fn join(&mut self, other: Self) -> Result<(), Self> {
        let same_script = match (self.verb, other.verb) {
            (Verb::Script(one), Verb::Script(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        let joins = same_script
            && !other.each.is_empty()
            && self.args == other.args
            && self.asks == other.asks
            && self.keys.len() < MAX_KEYS_PER_CALL
            // A script looks at all of its keys before it deletes any.
            && !other.keys.iter().any(|key| self.keys.contains(key));
        if !joins {
            return Err(other);
        }
        self.keys.extend(other.keys);
        self.each.extend(other.each);
        Ok(())
    }

    /// Returns how many words the call has.
    pub(crate) fn count(&self) -> usize {
        let verb = match self.verb {
            Verb::Command(_) => 1,
            Verb::Script(_) => 3,
        };
        verb + self.keys.len() + self.args.len() + self.each.len()
    }

    /// Passes the words of the call to `word`, one after the other.
    pub(crate) fn words(&self, mut word: impl FnMut(&[u8])) {
        match self.verb {
            Verb::Command(name) => word(name.as_bytes()),
            Verb::Script(script) => {
                word(b"EVALSHA");
                word(script.sha1().as_bytes());
                word(self.keys.len().to_string().as_bytes());
            }
        }
        let words = self.keys.iter().chain(&self.args).chain(&self.each);
        words.for_each(|text| word(text));
    }

    /// Returns the number of keys that its script works on; 1 for a command.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.keys.len().max(1)
    }

    /// Adds a text as an argument.
    #[must_use]
    pub fn text(mut self, text: &'op str) -> Self {
        self.args.push(Cow::Borrowed(text.as_bytes()));
        self
    }

    /// Adds bytes as an argument.
    #[must_use]
    pub fn bytes(mut self, bytes: &'op [u8]) -> Self {
        self.args.push(Cow::Borrowed(bytes));
        self
    }

    /// Adds a value as an argument, as the text that it is shown as.
    #[must_use]
    pub fn shown(mut self, value: &impl ToString) -> Self {
        self.args.push(Cow::Owned(value.to_string().into_bytes()));
        self
    }
}
