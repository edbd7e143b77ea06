//! `crates/aside/src/runtime/sync.rs` with the types of the checker.

pub(crate) use shuttle::sync::atomic;

/// A lock with the interface of `parking_lot`, without poisoning.
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a scenario that panicked is over")
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// tokio's channel. Under the checker each of its operations is one step, and
/// another thread may run before each.
pub(crate) mod watch {
    use std::ops::Deref;

    use shuttle::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::watch;

    pub(crate) struct Sender<T> {
        sender: watch::Sender<T>,
        switch: AtomicBool,
    }

    pub(crate) struct Receiver<T> {
        receiver: watch::Receiver<T>,
        switch: AtomicBool,
    }

    /// Reading it is a point at which the checker may switch threads.
    fn switch(place: &AtomicBool) {
        place.load(Ordering::SeqCst);
    }

    impl<T> Sender<T> {
        pub(crate) fn new(value: T) -> Self {
            Self {
                sender: watch::Sender::new(value),
                switch: AtomicBool::new(false),
            }
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            switch(&self.switch);
            Receiver {
                receiver: self.sender.subscribe(),
                switch: AtomicBool::new(false),
            }
        }

        pub(crate) fn receiver_count(&self) -> usize {
            switch(&self.switch);
            self.sender.receiver_count()
        }

        pub(crate) fn send_replace(&self, value: T) -> T {
            switch(&self.switch);
            self.sender.send_replace(value)
        }

        pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
            switch(&self.switch);
            self.sender.send_if_modified(modify)
        }

        pub(crate) fn borrow(&self) -> impl Deref<Target = T> + '_ {
            switch(&self.switch);
            self.sender.borrow()
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn borrow_and_update(&mut self) -> impl Deref<Target = T> + '_ {
            switch(&self.switch);
            self.receiver.borrow_and_update()
        }

        pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
            switch(&self.switch);
            self.receiver.changed().await
        }
    }
}
