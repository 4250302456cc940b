//! One thread, virtual time, and tasks that are polled in an order that a seed chooses.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use token_refresh_driver::{Clock, Sleep, Spawn, Task, Timestamp};

use crate::{faults::Rest, plan::Choice};

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Clones are one.
#[derive(Clone)]
pub(crate) struct Executor(Arc<Mutex<Inner>>);

struct Inner {
    now: Timestamp,
    choice: Choice,
    last: u64,
    /// Those that are not being polled.
    tasks: BTreeMap<u64, BoxFuture>,
    ready: BTreeSet<u64>,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl Executor {
    pub(crate) fn new(choice: Choice) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: Timestamp::from_millis(1_800_000_000_000),
            choice,
            last: 0,
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            sleepers: BTreeMap::new(),
        })))
    }

    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut inner = self.lock();
        inner.last += 1;
        let id = inner.last;
        inner.tasks.insert(id, Box::pin(task));
        inner.ready.insert(id);
    }

    /// Until all tasks have ended. Time passes when nothing can be done; where no time is waited for, something hangs.
    pub(crate) fn run(&self) {
        loop {
            let next = {
                let inner = &mut *self.lock();
                let place = inner.choice.index(inner.ready.len().max(1));
                let id = inner.ready.iter().nth(place).copied();
                id.map(|id| {
                    inner.ready.remove(&id);
                    (id, inner.tasks.remove(&id))
                })
            };
            match next {
                Some((id, Some(mut task))) => {
                    let waker = Waker::from(Arc::new(Ready { executor: self.clone(), id }));
                    if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                        self.lock().tasks.insert(id, task);
                    }
                }
                // Woken after its end.
                Some((_, None)) => {}
                None => {
                    let waker = {
                        let inner = &mut *self.lock();
                        let Some(((until, _), waker)) = inner.sleepers.pop_first() else {
                            assert!(inner.tasks.is_empty(), "{} tasks wait for ever", inner.tasks.len());
                            return;
                        };
                        inner.now = inner.now.max(until);
                        waker
                    };
                    waker.wake();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some sleeps end early.
    fn sleep_until(&self, until: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let mut place = Sleeper { executor: self.clone(), place: None };
        poll_fn(move |context| {
            let mut inner = place.executor.lock();
            if let Some(old) = place.place {
                // Woken because its time has come, or for another reason.
                if inner.sleepers.remove(&old).is_none() {
                    return Poll::Ready(());
                }
            }
            if inner.now >= until {
                return Poll::Ready(());
            }
            inner.last += 1;
            let key = (until, inner.last);
            inner.sleepers.insert(key, context.waker().clone());
            drop(inner);
            place.place = Some(key);
            Poll::Pending
        })
    }
}

/// A place among the sleepers, which is left when the sleep is dropped.
struct Sleeper {
    executor: Executor,
    place: Option<(Timestamp, u64)>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.executor.lock().sleepers.remove(&place);
            drop(waker);
        }
    }
}

struct Ready {
    executor: Executor,
    id: u64,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.executor.lock().ready.insert(self.id);
    }
}

impl Clock for Executor {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
}

impl Spawn for Executor {
    fn spawn(&self, task: Task) {
        self.start(task);
    }
}

impl Sleep for Executor {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (now, early) = {
            let mut inner = self.lock();
            (inner.now, inner.choice.below(8) == 0)
        };
        self.sleep_until(now.after(if early { span / 2 } else { span }))
    }
}

impl Rest for Executor {
    const IS_STOPPED: bool = true;

    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    async fn rest(&self, span: Duration) {
        if !span.is_zero() {
            self.sleep_until(Rest::now(self).after(span)).await;
        }
    }
}
