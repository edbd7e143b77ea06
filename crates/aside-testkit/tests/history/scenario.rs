//! Handmade histories, with small numbers for times.

use std::time::Duration;

use aside_testkit::history::{
    Bounds, Check, Fate, History, Read, ReadKind, Report, Settled, State, Time, Write,
};

pub(crate) const KEY: &str = "hero:1";

/// The bound for lenient reads in these histories, in nanoseconds.
pub(crate) const H: u64 = 100;

#[derive(Clone, Default)]
pub(crate) struct Scenario {
    pub(crate) history: History,
}

impl Scenario {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a write by `instance` that returned.
    pub(crate) fn wrote(
        self,
        instance: &str,
        start: u64,
        end: u64,
        state: impl Into<State>,
    ) -> Self {
        let fate = Fate::Returned(Time::from_nanos(end));
        self.write(instance, start, fate, Some(state.into()))
    }

    /// Adds a write by `w` that certainly changed nothing.
    pub(crate) fn failed(self, start: u64, end: u64, state: impl Into<State>) -> Self {
        let fate = Fate::Failed(Time::from_nanos(end));
        self.write("w", start, fate, Some(state.into()))
    }

    /// Adds a write by `w` of unknown fate.
    pub(crate) fn lost(self, start: u64, state: Option<State>) -> Self {
        self.write("w", start, Fate::Unknown, state)
    }

    pub(crate) fn initially(self, state: impl Into<State>) -> Self {
        self.write("w", 0, Fate::Initial, Some(state.into()))
    }

    fn write(mut self, instance: &str, start: u64, fate: Fate, state: Option<State>) -> Self {
        self.history.writes.push(Write {
            instance: instance.into(),
            key: KEY.into(),
            start: Time::from_nanos(start),
            fate,
            state,
        });
        self
    }

    pub(crate) fn strict(self, who: &str, start: u64, end: u64, state: impl Into<State>) -> Self {
        self.read(who, ReadKind::Strict, start, end, state.into())
    }

    pub(crate) fn lenient(self, who: &str, start: u64, end: u64, state: impl Into<State>) -> Self {
        self.read(who, ReadKind::Lenient, start, end, state.into())
    }

    fn read(mut self, who: &str, kind: ReadKind, start: u64, end: u64, state: State) -> Self {
        self.history.reads.push(Read {
            instance: who.into(),
            key: KEY.into(),
            kind,
            start: Time::from_nanos(start),
            end: Time::from_nanos(end),
            state,
        });
        self
    }

    pub(crate) fn settled(mut self, seen: impl Into<State>, truth: impl Into<State>) -> Self {
        self.history.settled.push(Settled {
            instance: "a".into(),
            key: KEY.into(),
            seen: seen.into(),
            truth: truth.into(),
        });
        self
    }

    pub(crate) fn check(&self) -> Report {
        self.history.check(&bounds())
    }

    /// Asserts that the history is correct.
    #[track_caller]
    pub(crate) fn is_right(&self) {
        self.check().assert_clean();
    }

    /// Asserts that the history has exactly these violations.
    #[track_caller]
    pub(crate) fn breaks(&self, check: Check, times: u64) {
        let report = self.check();
        let found = (report.violations_of(check), report.violations());
        assert_eq!(found, (times, times), "{report}");
    }
}

pub(crate) fn bounds() -> Bounds {
    Bounds::new(Duration::from_nanos(H))
}

pub(crate) fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}
