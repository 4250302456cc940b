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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::{
        sync::{
            Mutex,
            mpsc::{Receiver, Sender, channel},
        },
        task::Wake,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{ManualClock, SystemClock};

    /// How long a test waits for what must happen before it fails.
    const PATIENCE: Duration = Duration::from_secs(20);
    const LONG: Duration = Duration::from_secs(1_000);

    /// Real time; says when somebody begins to wait for it.
    struct Loud {
        clock: SystemClock,
        parking: Mutex<Sender<()>>,
    }

    impl Clock for Loud {
        fn now(&self) -> Timestamp {
            self.clock.now()
        }

        fn park_until(&self, until: Timestamp) {
            // A test that has ended does not listen.
            let _ = self.parking.lock().unwrap().send(());
            self.clock.park_until(until);
        }
    }

    /// An alarm on which somebody sleeps for long, and its thread waits.
    fn waiting() -> (Arc<Alarm>, Sleeping) {
        let (sender, parking) = channel();
        let alarm = Alarm::new(Arc::new(Loud { clock: SystemClock::new(), parking: Mutex::new(sender) }));
        let (late, _) = asleep(&alarm, LONG);
        parking.recv_timeout(PATIENCE).unwrap();
        (alarm, late)
    }

    struct Ring(Mutex<Sender<()>>);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().send(()).unwrap();
        }
    }

    /// Goes to sleep; the other end hears when it is woken.
    fn asleep(alarm: &Arc<Alarm>, span: Duration) -> (Sleeping, Receiver<()>) {
        let (sender, woken) = channel();
        let mut sleeping = alarm.sleep(alarm.clock.now().after(span));
        let waker = Waker::from(Arc::new(Ring(Mutex::new(sender))));
        assert!(sleeping.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        (sleeping, woken)
    }

    #[test]
    fn whoever_is_due_is_woken_and_nobody_else() {
        let clock = ManualClock::new(Timestamp::from_millis(1_000));
        let alarm = Alarm::new(Arc::new(clock.clone()));
        let (_early, early) = asleep(&alarm, Duration::from_secs(5));
        let (_late, late) = asleep(&alarm, LONG);
        clock.advance(Duration::from_secs(5));
        early.recv_timeout(PATIENCE).unwrap();
        assert!(late.try_recv().is_err());
        clock.advance(LONG);
        late.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn somebody_who_sleeps_for_less_is_not_overslept() {
        let (alarm, _late) = waiting();
        let (_early, early) = asleep(&alarm, Duration::from_millis(10));
        early.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn the_thread_is_gone_when_nobody_sleeps_any_more() {
        let (alarm, late) = waiting();
        drop(late);
        let begun = Instant::now();
        while alarm.lock().ringer.is_some() {
            assert!(begun.elapsed() < PATIENCE, "the thread still waits");
            thread::yield_now();
        }
        assert!(alarm.lock().sleepers.is_empty());
    }
}
