//! The blocking loop: real threads, and a clock that moves when all of them wait for it.

use std::{
    cell::RefCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::executor::block_on;
use http::{Request, Response};
use token_refresh_driver::{
    Attempt, Clock, CommitError, Error, Record, Session, SessionBuilder, State, Store, StoreError, Stored,
    Timestamp, Token, TokenId, Transport, TransportError, Version,
};

use crate::{
    faults::{Rest, Way, profile},
    plan::Demand,
    story::{LONG, Loop, play},
    world::World,
};

/// How long a run may take in real time; only one that hangs does.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(seed: u64) {
    play(seed, &Time::default());
}

/// Clones are one clock.
#[derive(Clone, Default)]
struct Time(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Since [`BEGIN`], in milliseconds.
    passed: AtomicU64,
    /// How many callers have not come to their end.
    callers: AtomicUsize,
    /// How many threads of the session are at work, and neither wait for time nor have come to their end.
    busy: AtomicUsize,
    parked: Mutex<Vec<Parked>>,
    /// Somebody parks, or has come to an end.
    changed: Condvar,
}

const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Parked {
    thread: Thread,
    until: Timestamp,
    /// It is one of the session's own.
    works: bool,
}

thread_local! {
    /// Of a thread of the session, once it has looked at the clock.
    static BUSY: RefCell<Option<Busy>> = const { RefCell::new(None) };
}

/// Counts as busy, until the thread ends.
struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_all();
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        self.works();
        BEGIN.after(Duration::from_millis(self.0.passed.load(Ordering::SeqCst)))
    }

    fn park_until(&self, until: Timestamp) {
        let (this, works) = (thread::current(), self.works());
        {
            let mut parked = self.parked();
            // Under the lock, in which the clock is moved.
            if Clock::now(self) >= until {
                return;
            }
            parked.push(Parked { thread: this.clone(), until, works });
            self.0.busy.fetch_sub(usize::from(works), Ordering::SeqCst);
        }
        self.0.changed.notify_all();
        thread::park();
        let mut parked = self.parked();
        // Whoever moved the clock has taken it off the list, and counts it as busy again.
        if let Some(place) = parked.iter().position(|parked| parked.thread.id() == this.id()) {
            parked.swap_remove(place);
            self.0.busy.fetch_add(usize::from(works), Ordering::SeqCst);
        }
    }
}

impl Rest for Time {
    const IS_STOPPED: bool = false;

    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    async fn rest(&self, span: Duration) {
        let until = Clock::now(self).after(span);
        while Clock::now(self) < until {
            self.park_until(until);
        }
    }
}

impl Time {
    /// Whether this is a thread of the session; it is known from now on.
    fn works(&self) -> bool {
        let works = thread::current().name() == Some("token-refresh");
        if works {
            // A thread that comes to its end looks at no clock.
            let _ = BUSY.try_with(|busy| {
                busy.borrow_mut().get_or_insert_with(|| {
                    self.0.busy.fetch_add(1, Ordering::SeqCst);
                    Busy(Arc::clone(&self.0))
                });
            });
        }
        works
    }

    /// Lets time pass until it is done: to the next instant that is waited for, when everybody waits. A thread that was
    /// started and has not begun is not seen, so now and then it begins late, as on a busy machine.
    fn pass_until(&self, sessions: &[Session], is_done: impl Fn() -> bool) {
        self.moves(is_done, |parked| {
            let refreshing = sessions.iter().filter(|session| session.state() == State::Refreshing).count();
            let working = parked.iter().filter(|parked| parked.works).count();
            let callers = self.0.callers.load(Ordering::SeqCst);
            let at_rest = working >= refreshing && parked.len() - working >= callers;
            parked.iter().map(|parked| parked.until).min().filter(|_| at_rest)
        });
    }

    /// Moves the clock to where `next` says, as long as no thread of a session is at work.
    fn moves(&self, is_done: impl Fn() -> bool, next: impl Fn(&[Parked]) -> Option<Timestamp>) {
        let begin = Instant::now();
        while !is_done() {
            assert!(begin.elapsed() < PATIENCE, "it hangs");
            let mut parked = self.parked();
            if self.0.busy.load(Ordering::SeqCst) == 0
                && let Some(next) = next(&parked)
            {
                let passed = next.since(BEGIN).as_millis();
                self.0.passed.fetch_max(u64::try_from(passed).unwrap(), Ordering::SeqCst);
                for one in parked.extract_if(.., |parked| parked.until <= next) {
                    self.0.busy.fetch_add(usize::from(one.works), Ordering::SeqCst);
                    one.thread.unpark();
                }
            } else {
                let moment = Duration::from_micros(200);
                drop(self.0.changed.wait_timeout(parked, moment).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Parked>> {
        self.0.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that is waited for.
    fn start(&self, work: impl FnOnce(&Self) + Send + 'static) {
        struct Ends(Time);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.0.callers.fetch_sub(1, Ordering::SeqCst);
                self.0.0.changed.notify_all();
            }
        }
        self.0.callers.fetch_add(1, Ordering::SeqCst);
        let ends = Ends(self.clone());
        thread::spawn(move || work(&ends.0));
    }
}

impl Transport for Way<Time> {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        block_on(Way::send(self, request, attempt))
    }
}

impl Store for Way<Time> {
    fn load(&self) -> Result<Stored, StoreError> {
        block_on(Way::load(self))
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        block_on(Way::commit(self, expected, record))
    }
}

impl Loop for Time {
    fn open(&self, builder: SessionBuilder, way: Way<Self>, shared: bool) -> Session {
        let builder = if shared { builder.store(way.clone()) } else { builder };
        builder.clock(self.clone()).blocking(way, profile()).unwrap()
    }

    fn ask(
        &self,
        session: &Session,
        refused: Option<TokenId>,
        demand: Demand,
        then: impl FnOnce(Duration, Result<Token, Error>) + Send + 'static,
    ) {
        let session = session.clone();
        self.start(move |time| {
            block_on(time.rest(demand.comes_after));
            let asked = Clock::now(time);
            let answer = match refused {
                Some(token) => session.reject_within(token, demand.limit),
                None => session.token_within(demand.limit),
            };
            // Before it is told, so that nothing of the session is kept.
            drop(session);
            then(Clock::now(time).since(asked), answer);
        });
    }

    fn settle(&self, session: &Session, then: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let session = session.clone();
        self.start(move |_| then(session.settle(LONG)));
    }

    fn later(&self, after: Duration, work: impl FnOnce() + Send + 'static) {
        self.start(move |time| {
            block_on(time.rest(after));
            work();
        });
    }

    fn complete(&self, sessions: &[Session]) {
        self.pass_until(sessions, || self.0.callers.load(Ordering::SeqCst) == 0);
    }

    fn complete_in_time(&self) {
        let is_done = || self.0.callers.load(Ordering::SeqCst) == 0;
        self.moves(is_done, |parked| parked.iter().filter(|one| one.works).map(|one| one.until).min());
    }

    fn leave(&self, world: &Arc<World>) {
        self.pass_until(&[], || Arc::strong_count(world) == 1);
    }
}
