//! The library's `runtime`, with the types of loom.

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic;

    /// With the interface of the library's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

/// Moments without a clock, because no scenario depends on the time.
pub(crate) mod clock {
    use std::time::Duration;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Moment(u64);

    impl Moment {
        pub(crate) const NEVER: Self = Self(0);
        pub(crate) const ALWAYS: Self = Self(u64::MAX);

        pub(crate) const fn from_millis(millis: u64) -> Self {
            Self(millis)
        }

        pub(crate) fn millis(self) -> u64 {
            self.0
        }
    }

    pub(crate) fn whole_millis(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}
