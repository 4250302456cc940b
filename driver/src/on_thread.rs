use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};

use crate::{
    AsyncStore, Changed, Store,
    sync::{Mutex, MutexGuard, thread},
};

/// A blocking store in an async session: each call on a thread of its own, as in a blocking session.
pub(crate) struct OnThread(Arc<dyn Store>);

impl OnThread {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self(store.into())
    }
}

impl AsyncStore for OnThread {
    async fn load(&self) -> Result<Stored, StoreError> {
        let store = Arc::clone(&self.0);
        on_thread(move || store.load()).await.unwrap_or(Err(StoreError))
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let (store, record) = (Arc::clone(&self.0), record.clone());
        on_thread(move || store.commit(expected, &record)).await.unwrap_or(Err(CommitError::Unavailable))
    }

    fn changed(&self) -> Changed {
        self.0.changed()
    }
}

/// `None` if the work panicked, or if no thread could be started.
fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Reply<T> {
    let reply = Reply(Arc::new(Mutex::new(Place::Waiting(None))));
    let thread = thread::Builder::new().name("token-refresh-store".into());
    let started = thread.spawn({
        let reply = Reply(Arc::clone(&reply.0));
        move || reply.fill(catch_unwind(AssertUnwindSafe(work)).ok())
    });
    if started.is_err() {
        reply.fill(None);
    }
    reply
}

/// The result of work on a thread: a future.
struct Reply<T>(Arc<Mutex<Place<T>>>);

enum Place<T> {
    Waiting(Option<Waker>),
    Done(Option<T>),
}

impl<T> Reply<T> {
    fn fill(&self, result: Option<T>) {
        let old = std::mem::replace(&mut *self.lock(), Place::Done(result));
        if let Place::Waiting(Some(waker)) = old {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        // Cloned and dropped outside the lock: a waker is foreign code.
        let waker = context.waker().clone();
        let old = match &mut *self.lock() {
            Place::Done(result) => return Poll::Ready(result.take()),
            Place::Waiting(place) => place.replace(waker),
        };
        drop(old);
        Poll::Pending
    }
}
