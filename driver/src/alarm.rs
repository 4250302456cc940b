use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread::{self, Thread},
};

use token_refresh_core::Timestamp;

use crate::{Clock, timer::Sleeping};

/// Wakes async callers of a session that was built for threads, where there is no runtime to do it. One thread for all
/// of them, and only while somebody sleeps.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    bell: Mutex<Bell>,
}

#[derive(Default)]
struct Bell {
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    last: u64,
    ringer: Option<Thread>,
}

/// One sleep.
struct Sleeper {
    alarm: Arc<Alarm>,
    until: Timestamp,
    /// The place among the sleepers, once it was polled.
    place: Option<u64>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, bell: Mutex::default() })
    }

    pub(crate) fn sleep(self: &Arc<Self>, until: Timestamp) -> Sleeping {
        Box::pin(Sleeper { alarm: Arc::clone(self), until, place: None })
    }

    /// Wakes whoever is due, until nobody sleeps.
    fn ring(&self) {
        loop {
            let now = self.clock.now();
            let mut bell = self.lock();
            let later = bell.sleepers.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut bell.sleepers, later);
            let next = bell.sleepers.first_key_value().map(|((until, _), _)| *until);
            if next.is_none() {
                bell.ringer = None;
            }
            drop(bell);
            due.into_values().for_each(Waker::wake);
            let Some(next) = next else { return };
            self.clock.park_until(next);
        }
    }

    /// Makes sure that somebody rings: without a thread to be had, nobody does.
    fn call_ringer(self: &Arc<Self>, bell: &mut Bell) {
        if let Some(ringer) = &bell.ringer {
            ringer.unpark();
            return;
        }
        let alarm = Arc::clone(self);
        let thread = thread::Builder::new().name("token-refresh-alarm".into());
        bell.ringer = thread.spawn(move || alarm.ring()).ok().map(|ringer| ringer.thread().clone());
    }

    fn lock(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.alarm.clock.now() >= self.until {
            return Poll::Ready(());
        }
        let alarm = Arc::clone(&self.alarm);
        // Cloned and dropped outside the lock: a waker is foreign code.
        let waker = context.waker().clone();
        let mut bell = alarm.lock();
        let place = *self.place.get_or_insert_with(|| {
            bell.last += 1;
            bell.last
        });
        let old = bell.sleepers.insert((self.until, place), waker);
        alarm.call_ringer(&mut bell);
        drop(bell);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut bell = self.alarm.lock();
        let waker = bell.sleepers.remove(&(self.until, place));
        if let Some(ringer) = bell.ringer.as_ref().filter(|_| bell.sleepers.is_empty()) {
            // Its work is done.
            ringer.unpark();
        }
        drop(bell);
        drop(waker);
    }
}
