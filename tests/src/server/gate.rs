//! A place where requests wait until a test lets them go on.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::listener::Stop;

/// Holds requests until it is opened, and tells how many have arrived: tests put requests into an order with gates, not
/// with sleeps. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until `count` requests in all have arrived, whether they are still held or not. `false`: `timeout` passed
    /// before.
    #[must_use = "a test that goes on although nobody arrived tests nothing"]
    pub fn wait_arrived(&self, count: usize, timeout: Duration) -> bool {
        let waited = self.0.changed.wait_timeout_while(self.state(), timeout, |state| state.arrived < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.arrived >= count
    }

    /// Lets everybody through, now and from now on.
    pub fn open(&self) {
        self.state().open = true;
        self.0.changed.notify_all();
    }

    /// Waits until the gate is open. `false`: the server stops.
    pub(super) fn pass(&self, stop: &Stop) -> bool {
        stop.wakes(self);
        let mut state = self.state();
        state.arrived += 1;
        self.0.changed.notify_all();
        while !state.open {
            if stop.is_set() {
                return false;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Lets those who wait look again whether their server stops.
    pub(super) fn wake(&self) {
        // With the lock: nobody is between looking and waiting.
        let _state = self.state();
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
