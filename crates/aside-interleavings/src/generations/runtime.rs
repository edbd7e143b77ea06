//! The library's `runtime`, with the types of loom.

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic;

    /// With the interface of the library's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

/// A clock that stands still, because no scenario depends on the time.
pub(crate) mod clock {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Moment(());

    impl Moment {
        pub(crate) const SOME: Self = Self(());
    }
}
