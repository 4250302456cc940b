//! What the server says by itself shortens a wait, and does nothing else.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use token_refresh_conformance::stores::records::numbered;
use token_refresh_core::CommitError;
use token_refresh_driver::{Changed, Clock as _, Store, Version};
use token_refresh_postgres::{Postgres, PostgresStore};
use tokio::{runtime, time::timeout};

use crate::{
    server::Server,
    support::{Call, Callers, PATIENCE, World, grant},
};

/// Two processes that share `alice`; each has a connection of its own.
struct Pair {
    server: Server,
    one: World,
    other: World,
}

impl Pair {
    fn start() -> Self {
        Self::with(Postgres::notifying)
    }

    /// Whether the one announces its commits.
    fn with(announcing: fn(Postgres) -> Postgres) -> Self {
        let server = Server::start();
        server.connect().create_table().unwrap();
        let store = announcing(server.connect()).credential("alice");
        let one = World::new(|builder| builder.store(store));
        one.session.sign_in(grant("at1", "rt1"));
        one.session.settle(PATIENCE).unwrap();
        let store = server.connect().notifying().credential("alice");
        let other = World::at(one.clock.clone(), |builder| builder.store(store));
        other.session.token().unwrap();
        other.session.settle(PATIENCE).unwrap();
        Self { server, one, other }
    }

    /// The one presents its refresh token, and a caller of the other waits for the end of that, on a clock that stands
    /// still.
    fn refresh(&self) -> (Call, Callers) {
        assert!(self.one.session.reject_within(self.one.id(), Duration::ZERO).is_err());
        let call = self.one.server.call();
        let refused = self.other.id();
        let caller = Callers::start(&self.other.session, 1, move |session| session.reject(refused));
        assert!(self.one.clock.await_parked(2, PATIENCE), "the caller, and the run that watches");
        (call, caller)
    }
}

#[test]
fn the_winners_save_is_adopted_at_once_also_after_a_restart() {
    let pair = Pair::start();
    let start = pair.one.clock.now();
    for (access, refresh) in [("at2", "rt2"), ("at3", "rt3")] {
        let (call, caller) = pair.refresh();
        call.grant(access, refresh);
        assert_eq!(caller.tokens(), [access]);
        pair.one.session.settle(PATIENCE).unwrap();
        pair.server.stop();
        pair.server.go();
    }
    assert_eq!(pair.one.clock.now(), start);
    assert!(pair.other.server.is_quiet());
}

#[test]
fn an_announcement_that_does_not_come_costs_a_pause() {
    let pair = Pair::with(|postgres| postgres);
    let (call, caller) = pair.refresh();
    call.grant("at2", "rt2");
    // Saved before time passes, or else the other would take over at the end of the term.
    pair.one.session.settle(PATIENCE).unwrap();
    pair.other.until(2, || pair.other.session.current().is_some());
    assert_eq!(caller.tokens(), ["at2"]);
    assert!(pair.other.server.is_quiet());
}

#[test]
fn announcements_without_a_reason_and_without_a_meaning_change_nothing() {
    let pair = Pair::start();
    let (call, caller) = pair.refresh();
    for payload in ["alice", "", "alice 7", "bob", "\u{1F980}", &"x".repeat(7999), "alice"] {
        pair.server.sql(&format!("NOTIFY token_refresh, '{payload}'"));
    }
    assert!(pair.one.clock.await_parked(2, PATIENCE), "it waits on");
    call.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    assert!(pair.other.server.is_quiet());
}

#[test]
fn what_is_announced_is_a_commit_of_a_store_that_was_asked_to() {
    let server = Server::start();
    server.connect().create_table().unwrap();
    let quiet = server.connect();
    let postgres = server.connect().notifying();
    let alice = postgres.credential("alice");
    let long = postgres.credential("\u{e9}".repeat(9000));
    commit(&alice);

    let [mut changed, mut unasked] = [&alice, &quiet.credential("alice")].map(Store::changed);
    let end = Store::changed(&long);
    commit(&quiet.credential("alice"));
    assert_eq!(Store::commit(&alice, Version(7), &numbered(1)), Err(CommitError::Conflict));
    commit(&long);
    // Announcements come in order.
    wait(end);
    assert!(!is_ready(&mut changed), "another name, a conflict, or one that was not to be announced");

    // A process hears its own commits too: another session of it may wait.
    commit(&alice);
    wait(changed);
    assert!(!is_ready(&mut unasked), "nobody asked it to listen");
}

fn commit(store: &PostgresStore) {
    Store::commit(store, Store::load(store).unwrap().version, &numbered(1)).unwrap();
}

fn is_ready(changed: &mut Changed) -> bool {
    Pin::new(changed).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn wait(changed: Changed) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, changed).await }).expect("nothing was announced");
}
