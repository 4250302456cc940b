use std::{
    mem,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use token_refresh_core::{Failure, Timestamp, WaiterId};

use crate::{
    Token,
    engine::Engine,
    limits::Caller,
    sync::{Mutex, MutexGuard},
};

/// What a caller is told in the end. One token for all who waited for it, so that a place in the queue is small.
pub(crate) type Answer = Result<Arc<Token>, Failure>;

/// A caller's demand, and its answer to come: a future, whoever waits for it. Dropping it takes the caller out of the
/// queue and does nothing else (CORE-14).
pub(crate) struct Demand {
    slot: Arc<Slot>,
    /// The place in the queue, until there is an answer.
    place: Option<(Arc<Engine>, WaiterId)>,
}

impl Demand {
    pub(crate) fn answered(answer: Answer) -> Self {
        Self { slot: Arc::new(Slot(Mutex::new(Place::Answered(answer)))), place: None }
    }

    pub(crate) fn waiting(engine: Arc<Engine>, waiter: WaiterId, slot: Arc<Slot>) -> Self {
        Self { slot, place: Some((engine, waiter)) }
    }

    /// Whether the caller had to join the queue.
    pub(crate) fn joined(&self) -> bool {
        self.place.is_some()
    }
}

/// What a caller that is a future waits for.
pub(crate) trait Limited: Future + Unpin {
    /// It is pending, and wants to be polled again at this instant at the latest.
    fn limit(&self, until: Timestamp);
}

impl Limited for Demand {
    fn limit(&self, until: Timestamp) {
        if let Some((engine, waiter)) = &self.place {
            engine.limit(Caller::Demand(*waiter), until);
        }
    }
}

impl Limited for Settled {
    fn limit(&self, until: Timestamp) {
        if let Some(place) = self.place {
            self.engine.limit(Caller::Settled(place), until);
        }
    }
}

impl Future for Demand {
    type Output = Result<Token, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.slot.poll(context);
        if answer.is_ready() {
            self.place = None;
        }
        answer.map_ok(Arc::unwrap_or_clone)
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        if let Some((engine, waiter)) = self.place.take() {
            engine.cancel(waiter);
        }
    }
}

/// The end of everything that is under way or owed: a future.
pub(crate) struct Settled {
    engine: Arc<Engine>,
    /// Where its waker is, once it waits.
    place: Option<u64>,
}

impl Settled {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, place: None }
    }
}

impl Future for Settled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { engine, place } = &mut *self;
        engine.poll_settled(place, context)
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.engine.forget_settling(place);
        }
    }
}

/// Where the answer for one caller is put. Its lock is never held for longer than a move.
pub(crate) struct Slot(Mutex<Place>);

enum Place {
    Waiting(Option<Waker>),
    Answered(Answer),
}

impl Default for Slot {
    fn default() -> Self {
        Self(Mutex::new(Place::Waiting(None)))
    }
}

impl Slot {
    /// Puts the answer in its place. Whom to wake, once no lock is held.
    pub(crate) fn fill(&self, answer: Answer) -> Option<Waker> {
        match mem::replace(&mut *self.lock(), Place::Answered(answer)) {
            Place::Waiting(waker) => waker,
            Place::Answered(_) => None,
        }
    }

    /// Whom to wake although there is no answer.
    pub(crate) fn waker(&self) -> Option<Waker> {
        match &mut *self.lock() {
            Place::Waiting(waker) => waker.take(),
            Place::Answered(_) => None,
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Answer> {
        if let Place::Answered(answer) = &*self.lock() {
            return Poll::Ready(answer.clone());
        }
        // Cloned and dropped outside the lock: a waker is foreign code.
        let waker = context.waker().clone();
        let old = match &mut *self.lock() {
            Place::Answered(answer) => return Poll::Ready(answer.clone()),
            Place::Waiting(place) => place.replace(waker),
        };
        drop(old);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
