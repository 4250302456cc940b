use std::{sync::Arc, task::Waker};

use token_refresh_core::Timestamp;

use crate::engine::Engine;

/// The watch over the clock, for whoever cannot look at it: what is owed to a shared store has to be paid even if no
/// caller ever comes again (rule 8 of the claim protocol), and a caller that is a future has to be woken when its time
/// is over (CORE-13). There is at most one for a session, and only while there is something to watch.
///
/// Whoever keeps it calls [`next`](Self::next), waits until the instant that it says or until the waker is called, and
/// calls again, until `None`. Dropping it before that lets the next call of the session set up another.
pub(crate) struct Vigil(Option<Arc<Engine>>);

impl Vigil {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self(Some(engine))
    }

    /// Does what is due. When to call again; `None` if there is nothing more to watch.
    pub(crate) fn next(&mut self, waker: &Waker) -> Option<Timestamp> {
        // Cloned and dropped outside the lock: a waker is foreign code.
        let waker = waker.clone();
        let (due, _before) = self.0.as_ref()?.call(|inner, now| {
            inner.tick(now);
            inner.watch(waker)
        });
        if due.is_none() {
            self.0 = None;
        }
        due
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if let Some(engine) = self.0.take() {
            engine.unwatched();
        }
    }
}

/// What the session knows of its vigil.
pub(crate) struct Watch {
    /// When it looks at the clock again.
    pub(crate) until: Timestamp,
    /// `None` until it has begun, and once it was called.
    pub(crate) waker: Option<Waker>,
}

impl Watch {
    /// One that is about to begin, and then sees for itself.
    pub(crate) fn new(until: Timestamp) -> Self {
        Self { until, waker: None }
    }

    /// How to call it, if it would look too late or has nothing more to watch.
    pub(crate) fn recall(&mut self, due: Option<Timestamp>) -> Option<Waker> {
        if due.is_some_and(|due| due >= self.until) { None } else { self.waker.take() }
    }
}
