use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
};

use token_refresh_core::Notice;

use crate::sync::{Mutex, MutexGuard};

type Observer = dyn Fn(&Notice) + Send + Sync;

/// Who wants to know, and what they have not been told yet.
///
/// Observers are called by a [`Delivery`] that runs on its own, one at a time, so that notices stay in order and a slow
/// observer holds up nobody.
#[derive(Default)]
pub(crate) struct Observers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    observers: Vec<Subscriber>,
    last: u64,
    queue: VecDeque<Notice>,
    delivering: bool,
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    observer: Arc<Observer>,
}

/// Ends a subscription when dropped. An observer that is being called at that moment is still called.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    observers: Arc<Observers>,
    id: u64,
}

/// The duty to call the observers until there is nothing to tell. Dropping it leaves that to the next one.
pub(crate) struct Delivery(Option<Arc<Observers>>);

impl Observers {
    /// An observer that never returns must not cost memory without end.
    const LONGEST_QUEUE: usize = 16_384;

    pub(crate) fn subscribe(self: &Arc<Self>, observer: Arc<Observer>) -> Subscription {
        let mut inner = self.lock();
        inner.last += 1;
        let id = inner.last;
        inner.observers.push(Subscriber { id, observer });
        drop(inner);
        Subscription { observers: Arc::clone(self), id }
    }

    pub(crate) fn push(&self, notice: Notice) {
        let mut inner = self.lock();
        if !inner.observers.is_empty() && inner.queue.len() < Self::LONGEST_QUEUE {
            inner.queue.push_back(notice);
        }
    }

    /// The duty to deliver, if there is something to deliver and nobody has the duty yet.
    pub(crate) fn deliver(self: &Arc<Self>) -> Option<Delivery> {
        let mut inner = self.lock();
        if inner.queue.is_empty() || inner.delivering {
            return None;
        }
        inner.delivering = true;
        Some(Delivery(Some(Arc::clone(self))))
    }

    /// The next notice and whom to tell; ends the delivery if there is none.
    fn next(&self) -> Option<(Notice, Vec<Subscriber>)> {
        let mut inner = self.lock();
        let notice = inner.queue.pop_front();
        inner.delivering = notice.is_some();
        notice.map(|notice| (notice, inner.observers.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    pub(crate) fn run(mut self) {
        while let Some((notice, subscribers)) = self.0.as_ref().and_then(|observers| observers.next()) {
            for Subscriber { observer, .. } in subscribers {
                // The hook has reported the panic; the other observers must still be told.
                let _ = catch_unwind(AssertUnwindSafe(|| observer(&notice)));
            }
        }
        // The duty ended with the last notice, and may be somebody else's by now.
        self.0 = None;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(observers) = &self.0 {
            observers.lock().delivering = false;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.observers.lock();
        let ended = inner.observers.extract_if(.., |subscriber| subscriber.id == self.id).next();
        drop(inner);
        // What the observer holds is foreign, so it is dropped without the lock.
        drop(ended);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}
