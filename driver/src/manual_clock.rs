use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use token_refresh_core::Timestamp;

use crate::{
    Clock,
    sync::{
        AtomicU64, Condvar, Mutex, MutexGuard,
        thread::{self, Thread},
    },
};

/// A clock that stands still until it is moved. For tests: a session on it waits for no real time. Clones are one
/// clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug, Default)]
struct Manual {
    now: AtomicU64,
    /// Whoever waits for time to pass.
    parked: Mutex<Vec<Parked>>,
    joined: Condvar,
}

#[derive(Debug)]
struct Parked {
    thread: Thread,
    until: Timestamp,
}

impl ManualClock {
    /// Stands at this instant.
    pub fn new(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.0.now.store(now.as_millis(), Ordering::SeqCst);
        clock
    }

    /// Moves the clock forward, and wakes everybody whose instant has come.
    pub fn advance(&self, span: Duration) {
        let later = |now: u64| Some(Timestamp::from_millis(now).after(span).as_millis());
        // The closure always answers `Some`, so this always succeeds.
        let _ = self.0.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        let now = self.now();
        // Off the list at once, so that whoever is on it really waits.
        self.parked().extract_if(.., |parked| parked.until <= now).for_each(|parked| parked.thread.unpark());
    }

    /// Blocks until so many threads wait for time to pass, so that a test can go on when its callers are all waiting.
    /// `false` if there are fewer for as long as `limit`, in real time.
    pub fn await_parked(&self, threads: usize, limit: Duration) -> bool {
        let fewer = |parked: &mut Vec<Parked>| parked.len() < threads;
        let waited = self.0.joined.wait_timeout_while(self.parked(), limit, fewer);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Parked>> {
        self.0.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now.load(Ordering::SeqCst))
    }

    fn park_until(&self, until: Timestamp) {
        let this = thread::current();
        self.parked().push(Parked { thread: this.clone(), until });
        self.0.joined.notify_all();
        // In the list before the look at the clock, so that no advance can fall between the two.
        if self.now() < until {
            thread::park();
        }
        self.parked().retain(|parked| parked.thread.id() != this.id());
    }
}
