//! What `driver/src/sync.rs` is under shuttle.

pub(crate) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64},
    },
    thread_local,
};

pub(crate) mod thread {
    use std::{
        io,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    pub(crate) use shuttle::thread::{Thread, current, park, park_timeout};

    /// Starts threads of which one may panic, as it may outside of shuttle, and takes nobody along.
    #[derive(Default)]
    pub(crate) struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn spawn(self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
            let contained = || {
                let _ = catch_unwind(AssertUnwindSafe(work));
            };
            self.0.spawn(contained).map(drop)
        }
    }
}
