//! What the server says by itself shortens a wait, and does nothing else.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use token_refresh_conformance::stores::records::numbered;
use token_refresh_core::CommitError;
use token_refresh_driver::{Changed, Clock as _, Store, Version};
use token_refresh_redis::{
    Redis, RedisStore,
    redis::{Client, Value},
};
use tokio::{runtime, time::timeout};

use crate::{
    server::Server,
    support::{Call, Callers, PATIENCE, World, grant},
};

/// Two processes that share `alice`; each has connections of its own.
struct Pair {
    server: Server,
    redis: [Redis; 2],
    one: World,
    other: World,
}

impl Pair {
    fn start() -> Self {
        Self::with(Redis::notifying)
    }

    /// Whether the one announces its commits.
    fn with(announcing: fn(Redis) -> Redis) -> Self {
        let server = Server::start();
        let redis = [announcing(server.redis()), server.redis().notifying()];
        let [store, same] = redis.each_ref().map(|redis| redis.credential("alice"));
        let one = World::new(|builder| builder.store(store));
        one.session.sign_in(grant("at1", "rt1"));
        one.session.settle(PATIENCE).unwrap();
        let other = World::at(one.clock.clone(), |builder| builder.store(same));
        other.session.token().unwrap();
        other.session.settle(PATIENCE).unwrap();
        Self { server, redis, one, other }
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

    fn restart(&mut self) {
        self.server.kill();
        for redis in &self.redis {
            redis.credential("alice").check().unwrap_err();
        }
        self.server.go();
    }
}

#[test]
fn the_winners_save_is_adopted_at_once_also_after_a_restart() {
    let mut pair = Pair::start();
    let start = pair.one.clock.now();
    for (access, refresh) in [("at2", "rt2"), ("at3", "rt3")] {
        let (call, caller) = pair.refresh();
        await_listeners(&pair.server, 2);
        call.grant(access, refresh);
        assert_eq!(caller.tokens(), [access]);
        pair.one.session.settle(PATIENCE).unwrap();
        pair.restart();
    }
    assert_eq!(pair.one.clock.now(), start);
    assert!(pair.other.server.is_quiet());
}

#[test]
fn a_subscription_that_broke_is_made_again_by_whoever_waits() {
    let pair = Pair::start();
    let (call, caller) = pair.refresh();
    await_listeners(&pair.server, 2);
    assert_eq!(pair.server.say(&["CLIENT", "KILL", "TYPE", "pubsub"]), Value::Int(2));
    pair.other.until(2, || listeners(&pair.server) == 1);
    let start = pair.one.clock.now();
    call.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    assert_eq!(pair.one.clock.now(), start);
}

#[test]
fn an_announcement_that_does_not_come_costs_a_pause() {
    let pair = Pair::with(|redis| redis);
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
    await_listeners(&pair.server, 2);
    for payload in ["alice", "", "alice 7", "bob", "\u{1F980}", &"x".repeat(1 << 20), "alice"] {
        assert_eq!(pair.server.say(&["PUBLISH", "token-refresh", payload]), Value::Int(2));
    }
    assert!(pair.one.clock.await_parked(2, PATIENCE), "it waits on");
    call.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    assert!(pair.other.server.is_quiet());
}

#[test]
fn what_is_announced_is_a_commit_of_a_store_that_was_asked_to() {
    let server = Server::start();
    let quiet = server.redis().credential("alice");
    let redis = server.redis().notifying();
    let [alice, bob] = ["alice", "bob"].map(|key| redis.credential(key));

    let mut unasked = quiet.changed();
    commit(&quiet);
    assert_eq!(listeners(&server), 0, "nobody asked it to listen");
    let (mut changed, end) = (alice.changed(), bob.changed());
    await_listeners(&server, 1);
    commit(&quiet);
    assert_eq!(Store::commit(&alice, Version(7), &numbered(1)), Err(CommitError::Conflict));
    commit(&bob);
    // Announcements come in order.
    wait(end);
    assert!(!is_ready(&mut changed), "another key, a conflict, or one that was not to be announced");

    // A process hears its own commits too: another session of it may wait.
    commit(&alice);
    wait(changed);
    assert!(!is_ready(&mut unasked));
}

#[test]
fn a_user_who_may_not_announce_commits_all_the_same() {
    let server = Server::start();
    let rights = ["+eval", "+hget", "+hset", "+time", "~*", "resetchannels"];
    server.say(&[&["ACL", "SETUSER", "app", "on", ">secret"], &rights[..]].concat());
    let url = server.client().get_connection_info().addr().to_string();
    let client = Client::open(format!("redis+unix://{url}?user=app&pass=secret")).unwrap();
    let store = Redis::new(client).notifying().credential("alice");
    commit(&store);
    assert_eq!(Store::load(&store).unwrap().record, Some(numbered(1)));
}

fn commit(store: &RedisStore) {
    Store::commit(store, Store::load(store).unwrap().version, &numbered(1)).unwrap();
}

fn listeners(server: &Server) -> i64 {
    let answer = server.say(&["PUBSUB", "NUMSUB", "token-refresh"]);
    let Value::Array(parts) = &answer else { panic!("{answer:?}") };
    let [_, Value::Int(number)] = parts[..] else { panic!("{answer:?}") };
    number
}

fn await_listeners(server: &Server, number: i64) {
    let start = Instant::now();
    while listeners(server) != number {
        assert!(start.elapsed() < PATIENCE, "there are not {number} listeners");
    }
}

fn is_ready(changed: &mut Changed) -> bool {
    Pin::new(changed).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn wait(changed: Changed) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, changed).await }).expect("nothing was announced");
}
