//! A table of sessions over one store for each key.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::{LIFETIME, PATIENCE, Server, Wire, profile, server};
use token_refresh_core::Body;
use token_refresh_driver::{
    BuildError, Error, FailureKind, ManualClock, Session, Sessions, Store, Timestamp, store::MemoryTable,
};

const IDLE: Duration = Duration::from_secs(60);

/// A table of sessions that renew themselves at one server.
struct World {
    clock: ManualClock,
    store: MemoryTable<u32>,
    sessions: Arc<Sessions<u32>>,
    server: Server,
    opened: Arc<AtomicUsize>,
}

impl World {
    fn new(max: usize) -> Self {
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let store = MemoryTable::new();
        let opened = Arc::new(AtomicUsize::new(0));
        let (server, wire) = server();
        let wire = Arc::new(wire);
        let open = {
            let (clock, store, opened) = (clock.clone(), store.clone(), Arc::clone(&opened));
            move |key: &u32| {
                opened.fetch_add(1, Ordering::SeqCst);
                let builder = Session::builder().clock(clock.clone()).store(store.store(*key));
                builder.blocking(Shared(Arc::clone(&wire)), profile())
            }
        };
        let sessions = Sessions::new(open).clock(clock.clone()).idle_after(IDLE).max_sessions(max);
        Self { clock, store, sessions: Arc::new(sessions), server, opened }
    }

    fn sign_in(&self, key: u32) {
        let session = self.sessions.get(&key).unwrap();
        session.sign_in(support::grant(&format!("at-{key}"), &format!("rt-{key}")));
        session.settle(PATIENCE).unwrap();
    }

    fn token(&self, key: u32) -> String {
        self.sessions.get(&key).unwrap().token().unwrap().secret().expose().to_owned()
    }

    /// The refresh token that is stored.
    fn refresh_token(&self, key: u32) -> Option<String> {
        match Store::load(&self.store.store(key)).unwrap().record?.body {
            Body::Grant { grant, .. } => grant.refresh_token().map(|token| token.expose().into()),
            Body::Vacant | Body::SignedOut => None,
        }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

struct Shared(Arc<Wire>);

impl token_refresh_driver::Transport for Shared {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
        attempt: &token_refresh_driver::Attempt,
    ) -> Result<http::Response<bytes::Bytes>, token_refresh_driver::TransportError> {
        self.0.send(request, attempt)
    }
}

#[test]
fn a_key_has_one_session_while_it_is_used() {
    let world = World::new(10);
    world.sign_in(1);
    for _ in 0..10 {
        world.clock.advance(IDLE / 2);
        assert_eq!(world.token(1), "at-1");
    }
    assert_eq!((world.opened(), world.sessions.len()), (1, 1));
}

#[test]
fn threads_that_ask_for_a_new_key_at_once_get_one_session() {
    let world = World::new(10);
    let start = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (sessions, start) = (Arc::clone(&world.sessions), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                sessions.get(&1).unwrap()
            })
        })
        .collect();
    let sessions: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    // What one of them is told, all of them know.
    sessions[0].sign_in(support::grant("at", "rt"));
    assert!(sessions.iter().all(|session| session.current().is_some()));
    assert_eq!(world.sessions.len(), 1);
}

#[test]
fn what_nobody_asks_for_is_let_go_and_comes_back_from_its_store() {
    let world = World::new(10);
    world.sign_in(1);
    world.sign_in(2);
    world.clock.advance(IDLE);
    assert_eq!(world.token(2), "at-2");
    assert_eq!(
        world.sessions.len(),
        2,
        "one idle span is not over for the first, which may have been used at its end"
    );
    world.clock.advance(IDLE);
    world.sessions.sweep();
    assert_eq!(world.sessions.len(), 1);
    assert_eq!(world.token(1), "at-1");
    assert_eq!(world.opened(), 3);
    // Nothing was used in twice the span: nothing is left.
    world.clock.advance(IDLE * 2);
    world.sessions.sweep();
    assert!(world.sessions.is_empty());
}

#[test]
fn there_are_never_more_sessions_than_the_table_has_room_for() {
    for max in [2, 3, 10, 1000] {
        let world = World::new(max);
        for key in 0..3000 {
            world.sessions.get(&key).unwrap();
            assert!(world.sessions.len() <= max, "{} of {max}", world.sessions.len());
        }
        assert!(world.sessions.len() >= max / 3, "{} of {max}", world.sessions.len());
    }
}

#[test]
fn what_is_in_use_stays_when_many_others_come_and_go() {
    let world = World::new(100);
    world.sign_in(7);
    for key in 1000..2000 {
        world.sessions.get(&key).unwrap();
        assert_eq!(world.token(7), "at-7");
    }
    assert_eq!(world.opened(), 1001);
}

#[test]
fn core_18_a_session_that_waits_holds_up_no_other() {
    let world = World::new(10);
    world.sign_in(1);
    world.sign_in(2);
    world.clock.advance(LIFETIME);
    let waiting = {
        let session = world.sessions.get(&1).unwrap();
        thread::spawn(move || session.token().unwrap().secret().expose().to_owned())
    };
    let first = world.server.call();
    assert!(first.presents("rt-1"));
    let other = {
        let session = world.sessions.get(&2).unwrap();
        thread::spawn(move || session.token().unwrap().secret().expose().to_owned())
    };
    let second = world.server.call();
    assert!(second.presents("rt-2"));
    second.grant("at-2b", "rt-2b");
    assert_eq!(other.join().unwrap(), "at-2b");
    first.grant("at-1b", "rt-1b");
    assert_eq!(waiting.join().unwrap(), "at-1b");
}

#[test]
fn i_23_a_session_let_go_during_its_refresh_ends_it_and_the_next_one_adopts() {
    let world = World::new(10);
    world.sign_in(1);
    let session = world.sessions.get(&1).unwrap();
    let refused = session.current().unwrap().id();
    assert_eq!(session.reject_within(refused, Duration::ZERO).err(), Some(Error::TimedOut));
    let call = world.server.call();
    drop(session);
    drop(world.sessions.remove(&1));
    // The token is refused here, too, while the first session's claim stands.
    let next = world.sessions.get(&1).unwrap();
    let refused = next.token().unwrap().id();
    assert_eq!(next.reject_within(refused, Duration::ZERO).err(), Some(Error::TimedOut));
    call.grant("at-new", "rt-new");
    // Time must not pass before the first has saved, or its claim would run out.
    let start = Instant::now();
    while world.refresh_token(1).as_deref() != Some("rt-new") {
        assert!(start.elapsed() < PATIENCE, "it is not saved");
        thread::yield_now();
    }
    // Both end by themselves: one has saved, the other has watched the claim until it was gone.
    support::until(&world.clock, 1, || {
        next.current().is_some_and(|token| token.secret().expose() == "at-new")
    });
    assert!(world.server.is_quiet(), "the refresh token was presented once");
}

#[test]
fn sess_04_a_signed_out_key_stays_signed_out_when_it_is_opened_anew() {
    let world = World::new(10);
    world.sign_in(1);
    let session = world.sessions.get(&1).unwrap();
    session.sign_out();
    assert!(world.server.call().revokes("rt-1"));
    session.settle(PATIENCE).unwrap();
    world.sessions.remove(&1);
    let error = world.sessions.get(&1).unwrap().token().unwrap_err();
    let Error::Failed(failure) = error else { panic!("{error:?}") };
    assert_eq!(failure.kind, FailureKind::SignedOut);
}

#[test]
fn a_session_without_a_store_is_refused_because_it_could_not_come_back() {
    let (_server, wire) = server();
    let wire = Arc::new(wire);
    let sessions: Sessions<u32> =
        Sessions::new(move |_| Session::builder().blocking(Shared(Arc::clone(&wire)), profile()));
    assert_eq!(sessions.get(&1).err(), Some(BuildError::NoStore));
    assert!(sessions.is_empty());
}

#[test]
fn the_error_of_a_store_that_does_not_open_reaches_the_caller_and_is_not_kept() {
    let tries = AtomicUsize::new(0);
    let sessions: Sessions<u32, Box<dyn std::error::Error>> = Sessions::new(move |_| {
        tries.fetch_add(1, Ordering::SeqCst);
        Err(format!("try {}", tries.load(Ordering::SeqCst)).into())
    });
    assert_eq!(sessions.get(&1).unwrap_err().to_string(), "try 1");
    assert_eq!(sessions.get(&1).unwrap_err().to_string(), "try 2");
}

#[test]
fn a_removed_key_is_empty_and_its_versions_are_never_used_again() {
    let world = World::new(10);
    world.sign_in(1);
    let stale = world.sessions.get(&1).unwrap();
    world.sessions.remove(&1);
    world.store.remove(&1);
    assert!(world.store.is_empty());
    world.sign_in(1);
    // The old session meets a version that it does not know, whatever it wants to write.
    stale.sign_out();
    assert!(world.server.call().revokes("rt-1"));
    stale.settle(PATIENCE).unwrap();
    assert_eq!(world.token(1), "at-1");
}
