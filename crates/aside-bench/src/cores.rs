//! The assignment of processes to cores.
//!
//! A round trip between two cores includes waking up a sleeping core. On a
//! virtual machine that costs many times the work to be measured, and the cost
//! changes from one moment to the next. On one core, server and client only
//! take turns.

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::Pid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Pins this thread and a process to the first core that this thread may
    /// use. Returns true if that was possible.
    pub(crate) fn share_one(process: u32) -> bool {
        first().is_some_and(|one| keep_on(process, &one) && keep_here(&one))
    }

    /// Pins this thread, and everything it starts from now on, to the first
    /// core that it may use. Returns true if that was possible.
    pub(super) fn stay_on_one() -> bool {
        first().is_some_and(|one| keep_here(&one))
    }

    fn first() -> Option<CpuSet> {
        let allowed = sched_getaffinity(None).ok()?;
        let first = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core))?;
        let mut one = CpuSet::new();
        one.set(first);
        Some(one)
    }

    fn keep_here(cores: &CpuSet) -> bool {
        sched_setaffinity(None, cores).is_ok()
    }

    /// Lets a process run on all cores of this thread.
    pub(crate) fn share_all(process: u32) -> bool {
        sched_getaffinity(None).is_ok_and(|allowed| keep_on(process, &allowed))
    }

    fn keep_on(process: u32, cores: &CpuSet) -> bool {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| sched_setaffinity(Some(pid), cores).is_ok())
    }
}

#[cfg(target_os = "linux")]
use linux::stay_on_one;
#[cfg(target_os = "linux")]
pub(crate) use linux::{share_all, share_one};

/// Runs `work` in a separate thread on one core, including the servers it
/// starts. Its argument is true if that was possible.
pub(crate) fn on_one<T: Send>(work: impl FnOnce(bool) -> T + Send) -> T {
    apart(|| work(stay_on_one()))
}

/// Runs `work` in a separate thread, because a runtime must not run within
/// another, and the pinning of a thread ends with it.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Other systems do not let a program choose.
#[cfg(not(target_os = "linux"))]
pub(crate) fn share_one(_: u32) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn share_all(_: u32) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one() -> bool {
    false
}
