//! States, four bits per number.
//!
//! A search holds a million states and looks each new state up among them, so
//! states are small and compared as words. No number of these models exceeds
//! 15. A larger number panics instead of being truncated, because two states
//! taken for one would leave a part of the search out.

/// A state as it is stored: room for 96 numbers.
pub(crate) type Packed = [u64; 6];

/// The position at which the next number is written or read.
#[derive(Default)]
pub(crate) struct Tape {
    pub(crate) words: Packed,
    at: usize,
}

impl Tape {
    pub(crate) fn from_start(words: Packed) -> Self {
        Self { words, at: 0 }
    }

    fn write(&mut self, number: u8) {
        assert!(number < 16, "a model counts further than its states can");
        self.words[self.at / 16] |= u64::from(number) << (self.at % 16 * 4);
        self.at += 1;
    }

    fn read(&mut self) -> u8 {
        let number = (self.words[self.at / 16] >> (self.at % 16 * 4)) & 15;
        self.at += 1;
        number as u8
    }
}

/// A type that can be written as numbers below 16.
pub(crate) trait Nibbles: Copy {
    fn write(&self, tape: &mut Tape);
    fn read(tape: &mut Tape) -> Self;
}

impl Nibbles for u8 {
    fn write(&self, tape: &mut Tape) {
        tape.write(*self);
    }

    fn read(tape: &mut Tape) -> Self {
        tape.read()
    }
}

impl Nibbles for bool {
    fn write(&self, tape: &mut Tape) {
        tape.write(u8::from(*self));
    }

    fn read(tape: &mut Tape) -> Self {
        tape.read() == 1
    }
}

impl<T: Nibbles, const N: usize> Nibbles for [T; N] {
    fn write(&self, tape: &mut Tape) {
        for part in self {
            part.write(tape);
        }
    }

    fn read(tape: &mut Tape) -> Self {
        std::array::from_fn(|_| T::read(tape))
    }
}

impl<T: Nibbles + Default> Nibbles for Option<T> {
    fn write(&self, tape: &mut Tape) {
        self.is_some().write(tape);
        self.unwrap_or_default().write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        let is_some = bool::read(tape);
        let value = T::read(tape);
        is_some.then_some(value)
    }
}

/// Defines structs whose fields are stored one after the other.
macro_rules! nibbles {
    ($($(#[$meta:meta])* struct $name:ident {
        $($(#[$about:meta])* $field:ident: $of:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[$about])* pub(crate) $field: $of,)*
        }

        impl $crate::nibbles::Nibbles for $name {
            fn write(&self, tape: &mut $crate::nibbles::Tape) {
                $($crate::nibbles::Nibbles::write(&self.$field, tape);)*
            }

            fn read(tape: &mut $crate::nibbles::Tape) -> Self {
                Self { $($field: $crate::nibbles::Nibbles::read(tape),)* }
            }
        }
    )*};
}

/// Defines the stages of a writer or a reader, which begins in the first.
macro_rules! stages {
    ($($(#[$meta:meta])* enum $name:ident {
        $first:ident, $($(#[$about:meta])* $stage:ident,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) enum $name {
            #[default]
            $first,
            $($(#[$about])* $stage,)*
        }

        impl $crate::nibbles::Nibbles for $name {
            fn write(&self, tape: &mut $crate::nibbles::Tape) {
                $crate::nibbles::Nibbles::write(&(*self as u8), tape);
            }

            fn read(tape: &mut $crate::nibbles::Tape) -> Self {
                const ALL: &[$name] = &[$name::$first, $($name::$stage),*];
                ALL[<u8 as $crate::nibbles::Nibbles>::read(tape) as usize]
            }
        }
    )*};
}

pub(crate) use {nibbles, stages};

/// Messages in the order in which they were sent; zero is no message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue<T, const N: usize>([T; N])
where
    [T; N]: Default;

impl<T: Nibbles + Default + PartialEq, const N: usize> Queue<T, N>
where
    [T; N]: Default,
{
    pub(crate) fn push(&mut self, message: T) {
        let free = self.0.iter().position(|slot| *slot == T::default());
        self.0[free.expect("a channel of this model is too short")] = message;
    }

    pub(crate) fn first(&self) -> Option<T> {
        (self.0[0] != T::default()).then_some(self.0[0])
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter(|slot| **slot != T::default())
    }

    pub(crate) fn without_first(mut self) -> Self {
        self.0[0] = T::default();
        self.0.rotate_left(1);
        self
    }
}

impl<T: Nibbles, const N: usize> Nibbles for Queue<T, N>
where
    [T; N]: Default,
{
    fn write(&self, tape: &mut Tape) {
        self.0.write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        Self(Nibbles::read(tape))
    }
}
