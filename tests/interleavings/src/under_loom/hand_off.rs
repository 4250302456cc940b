//! The way of an answer to those who wait for it, and of the baton from one driver of a run to the next: every order in
//! which they can take the locks, with three switches at most that no thread asked for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex as Plain,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    model::Builder,
    thread::{self, JoinHandle, Thread},
};
use token_refresh_core::{
    Config, Effect, Event, FailureKind, Grant, Machine, Persistence, Timestamp, TokenId,
};

use super::{
    ManualClock,
    baton::Baton,
    engine::{Engine, Runner, Work},
    telemetry::Telemetry,
    wait::{Demand, Settled},
};

fn every_order(scenario: impl Fn() + Sync + Send + 'static) {
    let mut model = Builder::new();
    // `LOOM_MAX_PREEMPTIONS` says otherwise.
    model.preemption_bound.get_or_insert(3);
    let (scenario, orders) = (Arc::new(scenario), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&orders);
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let scenario = Arc::clone(&scenario);
        spawn(move || scenario()).join().unwrap();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

/// Those of loom have too little stack for the machine.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().stack_size(0x8000).spawn(work).unwrap()
}

/// Runs each run on a thread of its own, as the loops do. Deaths come first: batons that are dropped, taken up or not.
#[derive(Default)]
struct Threads {
    deaths: Plain<Vec<Death>>,
    /// What a server has seen.
    presented: Plain<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Death {
    BeforeIt,
    AfterIt,
}

impl Threads {
    fn run(&self, baton: Baton) {
        let mut next = Some(baton);
        while let Some(mut baton) = next {
            let death = self.deaths.lock().unwrap().pop();
            if let Some(Death::BeforeIt) = death {
                return;
            }
            let event = baton.take_up().and_then(|(effect, _)| self.perform(effect));
            if let Some(Death::AfterIt) = death {
                return;
            }
            next = baton.pass(event);
        }
    }

    fn perform(&self, effect: &Effect) -> Option<Event> {
        // Others may go first.
        thread::yield_now();
        let Effect::Exchange { ticket, refresh, .. } = effect else { return None };
        self.presented.lock().unwrap().push(refresh.as_ref()?.expose().into());
        let result = Ok(Grant::new("at2").unwrap().with_refresh_token("rt2").unwrap());
        Some(Event::Exchanged { ticket: *ticket, sent_at: Timestamp::ZERO, result })
    }
}

impl Runner for Arc<Threads> {
    fn start(&self, work: Work) {
        match work {
            Work::Effect(baton) => {
                let threads = Arc::clone(self);
                spawn(move || threads.run(*baton));
            }
            // The clock stands still.
            Work::Vigil(vigil) => drop(vigil),
            Work::Delivery(delivery) => delivery.run(),
        }
    }
}

/// Signed in with `at1` and `rt1`, without a store.
fn signed_in(deaths: &[Death]) -> (Arc<Engine>, Arc<Threads>, TokenId) {
    let mut config = Config::default();
    config.persistence = Persistence::Memory;
    let machine = Machine::new(config, 1, Timestamp::ZERO).unwrap();
    let threads = Arc::<Threads>::default();
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::new(machine, clock, Telemetry::default(), Box::new(Arc::clone(&threads)));
    let grant = Grant::new("at1").unwrap().with_refresh_token("rt1").unwrap();
    engine.call(|inner, now| inner.machine.sign_in(grant, now));
    *threads.deaths.lock().unwrap() = deaths.to_vec();
    let id = engine.published.get().unwrap().id();
    (engine, threads, id)
}

fn refused(engine: &Arc<Engine>, id: TokenId) -> Demand {
    engine.demand(|machine, now| machine.reject(id, now))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// As a blocking caller does, with no end: a wake-up that is lost is a deadlock, and loom says so.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Whoever runs the refresh dies.
fn both_are_answered(death: Death) {
    // Nothing was sent: the failure is told. Or nobody knows: it is presented once more (Q1).
    let (failed, presented) = match death {
        Death::BeforeIt => (Some(FailureKind::Transient), 0),
        Death::AfterIt => (None, 2),
    };
    every_order(move || {
        let (engine, threads, id) = signed_in(&[death]);
        let other = spawn({
            let engine = Arc::clone(&engine);
            move || wait(refused(&engine, id)).map(drop)
        });
        let own = wait(refused(&engine, id)).map(drop);
        for answer in [own, other.join().unwrap()] {
            assert_eq!(answer.err().map(|failure| failure.kind), failed);
        }
        wait(Settled::new(engine));
        assert_eq!(threads.presented.lock().unwrap().len(), presented);
    });
}

#[test]
fn core_01_core_03_every_caller_is_woken_by_one_exchange_and_finds_the_token_published() {
    every_order(|| {
        let (engine, threads, id) = signed_in(&[]);
        let caller = move |engine: &Arc<Engine>| {
            let token = wait(refused(engine, id)).unwrap();
            assert_eq!(token.secret().expose(), "at2");
            assert_eq!(engine.published.fresh(Timestamp::ZERO).unwrap().id(), token.id());
        };
        let other = spawn({
            let engine = Arc::clone(&engine);
            move || caller(&engine)
        });
        caller(&engine);
        other.join().unwrap();
        wait(Settled::new(engine));
        assert_eq!(*threads.presented.lock().unwrap(), ["rt1"]);
    });
}

#[test]
fn core_14_a_caller_that_goes_when_it_is_woken_takes_nothing_with_it() {
    every_order(|| {
        let (engine, threads, id) = signed_in(&[]);
        let other = spawn({
            let engine = Arc::clone(&engine);
            move || {
                let mut demand = refused(&engine, id);
                let _ = Pin::new(&mut demand).poll(&mut Context::from_waker(Waker::noop()));
            }
        });
        assert_eq!(wait(refused(&engine, id)).unwrap().secret().expose(), "at2");
        other.join().unwrap();
        wait(Settled::new(engine));
        assert_eq!(*threads.presented.lock().unwrap(), ["rt1"]);
    });
}

#[test]
fn core_03_where_the_leader_dies_before_it_begins_every_caller_is_told_so() {
    both_are_answered(Death::BeforeIt);
}

#[test]
fn core_03_where_the_leader_dies_at_work_its_successor_serves_every_caller() {
    both_are_answered(Death::AfterIt);
}
