//! What `driver/src/sync.rs` is under loom.

pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

/// Nobody waits on one under loom.
#[derive(Debug, Default)]
pub(crate) struct Condvar;

impl Condvar {
    pub(crate) fn notify_all(&self) {}

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: std::time::Duration,
        _: impl FnMut(&mut T) -> bool,
    ) -> std::sync::LockResult<(MutexGuard<'a, T>, std::sync::WaitTimeoutResult)> {
        drop(guard);
        unreachable!("nobody waits for threads to be parked")
    }
}

pub(crate) mod thread {
    pub(crate) use loom::thread::{Builder, Thread, current, park};

    /// Time is not modelled.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }
}

/// That of loom knows no `const`.
macro_rules! local_to_thread {
    (static $name:ident: $type:ty = const $init:block;) => {
        loom::thread_local! { static $name: $type = $init; }
    };
}
pub(crate) use local_to_thread as thread_local;
