//! A small executor: one thread, one queue, one list of timers. It knows nothing of I/O.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use token_refresh_driver::{Sleep, Spawn, Task};

/// Runs a future, and whatever is spawned meanwhile.
pub(crate) struct Executor {
    ready: Receiver<Arc<Job>>,
    handle: Handle,
}

/// Spawns and sleeps, from any thread.
#[derive(Clone)]
pub(crate) struct Handle {
    ready: Sender<Arc<Job>>,
    timers: Arc<Mutex<Timers>>,
}

/// Numbered, because two may end at the same instant.
#[derive(Default)]
struct Timers {
    wakers: BTreeMap<(Instant, u64), Waker>,
    last: u64,
}

/// A future to be polled. Without one: the main future, or nothing, when only the timers are to be looked at.
struct Job {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    ready: Sender<Arc<Job>>,
}

impl Executor {
    pub(crate) fn new() -> Self {
        let (sender, ready) = channel();
        Self { ready, handle: Handle { ready: sender, timers: Arc::default() } }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let main_job = self.handle.job(None);
        Arc::clone(&main_job).wake();
        loop {
            let Some(job) = self.next() else { continue };
            let waker = Waker::from(Arc::clone(&job));
            let mut context = Context::from_waker(&waker);
            if Arc::ptr_eq(&job, &main_job) {
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return output;
                }
                continue;
            }
            let mut place = lock(&job.future);
            if place.as_mut().is_some_and(|future| future.as_mut().poll(&mut context).is_ready()) {
                *place = None;
            }
        }
    }

    /// Waits for the next job, or until a timer ends.
    fn next(&self) -> Option<Arc<Job>> {
        let first = lock(&self.handle.timers).wakers.first_key_value().map(|((until, _), _)| *until);
        let Some(until) = first else { return self.ready.recv().ok() };
        let now = Instant::now();
        if until <= now {
            let ended = lock(&self.handle.timers).wakers.pop_first();
            if let Some((_, waker)) = ended {
                waker.wake();
            }
        }
        self.ready.recv_timeout(until.saturating_duration_since(now)).ok()
    }
}

impl Handle {
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.job(Some(Box::pin(future))).wake();
    }

    fn job(&self, future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>) -> Arc<Job> {
        Arc::new(Job { future: Mutex::new(future), ready: self.ready.clone() })
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        // If the executor is gone, so is the reason to run.
        let _ = self.ready.send(Arc::clone(&self));
    }
}

impl Spawn for Handle {
    fn spawn(&self, task: Task) {
        Handle::spawn(self, task);
    }
}

impl Sleep for Handle {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (handle, until, mut number) = (self.clone(), Instant::now() + span, None);
        poll_fn(move |context| {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            let mut timers = lock(&handle.timers);
            let key = *number.get_or_insert(timers.last + 1);
            timers.last = timers.last.max(key);
            if timers.wakers.insert((until, key), context.waker().clone()).is_none() {
                // The executor may be waiting for something later.
                handle.job(None).wake();
            }
            Poll::Pending
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
