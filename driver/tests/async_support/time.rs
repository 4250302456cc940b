use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use token_refresh_driver::{Clock, Sleep, Timestamp};

/// A clock that stands still until it is moved. Every sleep ends when it moves, which is earlier than asked for: the
/// driver has to look at the clock and sleep again.
#[derive(Clone)]
pub(crate) struct VirtualTime(Arc<Inner>);

struct Inner {
    now: AtomicU64,
    moves: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
}

impl Default for VirtualTime {
    fn default() -> Self {
        let now = AtomicU64::new(1_800_000_000_000);
        Self(Arc::new(Inner { now, moves: AtomicU64::new(0), sleepers: Mutex::default() }))
    }
}

impl VirtualTime {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.now.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
        let sleepers = {
            let mut sleepers = self.0.sleepers.lock().unwrap();
            self.0.moves.fetch_add(1, Ordering::SeqCst);
            std::mem::take(&mut *sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// Lets time pass in small steps, each only when the session waits for it, until something has happened.
    pub(crate) async fn pass_until(&self, mut happened: impl FnMut() -> bool) {
        while !happened() {
            if !self.0.sleepers.lock().unwrap().is_empty() {
                self.advance(Duration::from_millis(20));
            }
            super::yield_now().await;
        }
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now.load(Ordering::SeqCst))
    }
}

impl Sleep for VirtualTime {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (time, begun) = (self.clone(), self.0.moves.load(Ordering::SeqCst));
        poll_fn(move |context| {
            let mut sleepers = time.0.sleepers.lock().unwrap();
            if time.0.moves.load(Ordering::SeqCst) != begun {
                return Poll::Ready(());
            }
            sleepers.push(context.waker().clone());
            Poll::Pending
        })
    }
}
