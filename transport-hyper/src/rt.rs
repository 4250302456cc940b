use std::{sync::Arc, time::Duration};

use hyper::rt::{Executor, Timer};
use token_refresh_driver::{Sleep, Spawn, Task};

/// Tasks and timers of whatever runtime hyper runs on: an executor and a timer, as hyper's own builders take them.
///
/// ```
/// use hyper_util::rt::{TokioExecutor, TokioTimer};
/// use token_refresh_hyper::HyperRuntime;
///
/// let runtime = HyperRuntime::new(TokioExecutor::new(), TokioTimer::new());
/// ```
///
/// Executor and timer are called wherever the session is, and those of hyper-util work only inside a tokio runtime.
/// Outside one, sign-in and sign-out still take effect, but a refresh, a revocation and the store's part of a sign-out
/// wait until the session is used inside, and whoever asks for a token gets an error that will pass
/// ([`Cause::Transient`](token_refresh_driver::Cause::Transient)). A program that uses a session outside a runtime takes
/// the driver's `TokioRuntime`.
#[derive(Clone, Debug)]
pub struct HyperRuntime<E, T> {
    executor: E,
    timer: Arc<T>,
}

impl<E, T> HyperRuntime<E, T> {
    /// Of this executor and this timer.
    pub fn new(executor: E, timer: T) -> Self {
        Self { executor, timer: Arc::new(timer) }
    }
}

impl<E: Executor<Task> + Send + Sync, T: Send + Sync> Spawn for HyperRuntime<E, T> {
    fn spawn(&self, task: Task) {
        self.executor.execute(task);
    }
}

impl<E: Send + Sync, T: Timer + Send + Sync> Sleep for HyperRuntime<E, T> {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.timer.sleep(span)
    }
}
