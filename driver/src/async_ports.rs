//! The ports for async programs. No runtime is named here: whoever has one says how to spawn and how to sleep.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};

use crate::{Attempt, Changed, TransportError};

/// The async twin of [`Transport`](crate::Transport), with the same duties but one: it needs no timer. The driver
/// drops the future if it has not called [`Attempt::begin`] in time, or if it is not done
/// [`Attempt::limit`](crate::Attempt::limit) after that; dropping it must stop the request.
///
/// An `async fn` implements it. A panic is contained, and counts as [`TransportError::Ambiguous`].
pub trait AsyncTransport: Send + Sync {
    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// [`TransportError`]: whether a byte of the request may have left.
    fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send;
}

/// The async twin of [`Store`](crate::Store), with the same promises. A future that was polled is dropped before its
/// end only if the runtime shuts down.
///
/// `async fn`s implement it. A panic is contained, and counts as "unavailable".
pub trait AsyncStore: Send + Sync {
    /// The record and its version. May be stale: every decision is checked by a commit (rule 12).
    ///
    /// # Errors
    /// [`StoreError`] if the store did not answer or its content cannot be read, which is not the same as an empty
    /// store (PERS-04).
    fn load(&self) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces the record, whole, if its version is still `expected`, and answers with the new version, `expected`
    /// plus one. Durable and linearizable before it answers (rule 12); private to the user (SEC-05).
    ///
    /// # Errors
    /// [`CommitError::Conflict`] if another version is in force and nothing was written;
    /// [`CommitError::Unavailable`] if that is not known.
    fn commit(
        &self,
        expected: Version,
        record: &Record,
    ) -> impl Future<Output = Result<Version, CommitError>> + Send;

    /// Called before each load: ready once the record may have changed since then. Must not block. Default: never.
    fn changed(&self) -> Changed {
        Changed::never()
    }
}

/// Starts tasks.
pub trait Spawn: Send + Sync {
    /// Starts the task and returns at once. If that is impossible, dropping the task is enough: whoever waits for it
    /// is answered. A panic is contained, and counts as the same.
    fn spawn(&self, task: Task);
}

/// Waits for time to pass.
pub trait Sleep: Send + Sync {
    /// Ready after this span. May be ready too early: the driver looks at its clock and sleeps again.
    ///
    /// Called and polled wherever a caller polls its own future, so it must not depend on which runtime that is. If the
    /// call panics, no time passes for this caller: it is answered when the refresh is over.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static;
}

/// What is to be spawned: a part of a session's work. It ends by itself, and does not panic.
#[must_use = "dropping it abandons the work"]
pub struct Task(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Task {
    pub(crate) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // A panic of a port would end more than this task on some executors. What it held was dropped, and thereby
        // answered, when the panic passed through.
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))).unwrap_or(Poll::Ready(()))
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Ports can be shared between sessions.
impl<T: AsyncTransport> AsyncTransport for Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send {
        (**self).send(request, attempt)
    }
}

impl<S: AsyncStore> AsyncStore for Arc<S> {
    fn load(&self) -> impl Future<Output = Result<Stored, StoreError>> + Send {
        (**self).load()
    }

    fn commit(
        &self,
        expected: Version,
        record: &Record,
    ) -> impl Future<Output = Result<Version, CommitError>> + Send {
        (**self).commit(expected, record)
    }

    fn changed(&self) -> Changed {
        (**self).changed()
    }
}

impl<R: Spawn + ?Sized> Spawn for Arc<R> {
    fn spawn(&self, task: Task) {
        (**self).spawn(task);
    }
}

impl<R: Sleep> Sleep for Arc<R> {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        (**self).sleep(span)
    }
}
