#![allow(clippy::unwrap_used)]

use std::{
    pin::Pin,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
    time::Duration,
};

use token_refresh_core::{Config, FailureKind, Grant, Persistence};

use super::*;
use crate::{ManualClock, Session, wait::Settled};

/// Cannot start anything.
struct Nothing;

impl Runner for Nothing {
    fn start(&self, _: Work) {}
}

fn signed_in() -> Session {
    let machine = Machine::new(Config::default(), 1, Timestamp::ZERO).unwrap();
    let engine =
        Engine::new(machine, Arc::new(ManualClock::default()), Telemetry::default(), Box::new(Nothing));
    let session = Session::new(engine, Duration::from_secs(30));
    session.sign_in(Grant::new("at1").unwrap().with_refresh_token("rt1").unwrap());
    session
}

#[test]
fn core_03_work_that_cannot_be_started_is_answered_as_never_sent() {
    let session = signed_in();
    let refused = session.token().unwrap().id();
    let error = session.reject(refused).unwrap_err();
    // Not "uncertain": the refresh token never left.
    assert_eq!(error.failure().unwrap().kind, FailureKind::Transient);
    session.settle(Duration::ZERO).unwrap();
}

/// Cannot start anything either, and counts how often it was to.
#[derive(Default)]
struct Attempts {
    vigils: AtomicUsize,
    deliveries: AtomicUsize,
}

impl Runner for Arc<Attempts> {
    fn start(&self, work: Work) {
        match work {
            Work::Effect(_) => {}
            Work::Vigil(_) => drop(self.vigils.fetch_add(1, Ordering::SeqCst)),
            Work::Delivery(_) => drop(self.deliveries.fetch_add(1, Ordering::SeqCst)),
        }
    }
}

#[test]
fn rule_8_a_watch_or_a_delivery_that_could_not_be_started_is_tried_again() {
    let mut config = Config::default();
    config.persistence = Persistence::Shared;
    let machine = Machine::new(config, 1, Timestamp::ZERO).unwrap();
    let attempts = Arc::new(Attempts::default());
    let engine = Engine::new(
        machine,
        Arc::new(ManualClock::default()),
        Telemetry::default(),
        Box::new(Arc::clone(&attempts)),
    );
    let _subscription = engine.observers.subscribe(Arc::new(|_| {}));
    // The store cannot be told of the sign-in, so that is owed to it.
    engine.call(|inner, now| inner.machine.sign_in(Grant::new("at1").unwrap(), now));
    let before = (attempts.vigils.load(Ordering::SeqCst), attempts.deliveries.load(Ordering::SeqCst));
    assert!(before.0 > 0 && before.1 > 0, "{before:?}");
    engine.call(|_, _| ());
    assert_eq!(attempts.vigils.load(Ordering::SeqCst), before.0 + 1);
    assert_eq!(attempts.deliveries.load(Ordering::SeqCst), before.1 + 1);
}

#[test]
fn whoever_no_longer_waits_for_the_end_leaves_nothing_behind() {
    let mut config = Config::default();
    config.persistence = Persistence::Shared;
    let machine = Machine::new(config, 1, Timestamp::ZERO).unwrap();
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::new(machine, clock, Telemetry::default(), Box::new(Nothing));
    // The store cannot be told of the sign-in, so that is owed to it.
    engine.call(|inner, now| inner.machine.sign_in(Grant::new("at1").unwrap(), now));
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Settled::new(Arc::clone(&engine));
    for _ in 0..100 {
        assert!(Pin::new(&mut first).poll(&mut context).is_pending());
        assert!(Pin::new(&mut Settled::new(Arc::clone(&engine))).poll(&mut context).is_pending());
        assert_eq!(engine.lock().settling.len(), 1);
    }
    drop(first);
    assert!(engine.lock().settling.is_empty());
}

#[test]
fn the_hot_path_takes_no_lock_of_the_machine() {
    let session = signed_in();
    let (done, finished) = channel();
    let engine = Arc::clone(session.engine());
    thread::spawn(move || {
        let id = session.token().unwrap().id();
        session.accept(id);
        // With the lock held, anything that needs it would wait for ever.
        let held = engine.lock();
        for _ in 0..100 {
            assert_eq!(session.token().unwrap().id(), id);
            session.accept(id);
            assert_eq!(session.current().unwrap().id(), id);
        }
        drop(held);
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(20)).unwrap();
}
