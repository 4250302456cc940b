use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    runtime::{Handle, TryCurrentError},
    task::JoinHandle,
};

use crate::{Sleep, Spawn, Task};

/// Tasks and timers of a tokio runtime, whose timers must be enabled.
///
/// Callers may be polled by any other executor too. When the runtime shuts down, whoever waits for a refresh in it is
/// answered, and no further refresh can begin; [`Session::settle_async`](crate::Session::settle_async) before that is
/// the better end.
#[derive(Clone, Debug)]
pub struct TokioRuntime(Handle);

impl TokioRuntime {
    /// Of this runtime.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// Of the runtime that this is called in.
    ///
    /// # Errors
    /// If it is called outside one.
    pub fn current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self)
    }
}

impl Spawn for TokioRuntime {
    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }
}

impl Sleep for TokioRuntime {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        Sleeping(Some(self.0.spawn(async move { tokio::time::sleep(span).await })))
    }
}

/// A sleep in a task of its own: a timer that is polled from outside panics once its runtime is shut down, and a caller
/// may well outlive the runtime. Then no time passes any more, and the caller is answered by what else it waits for.
struct Sleeping(Option<JoinHandle<()>>);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(task) = &mut self.0 else { return Poll::Pending };
        let slept = ready!(Pin::new(task).poll(context));
        self.0 = None;
        if slept.is_ok() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
