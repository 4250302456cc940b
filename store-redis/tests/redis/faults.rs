use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use token_refresh_conformance::stores::{
    outage_conformance,
    records::{large, numbered},
};
use token_refresh_driver::{CommitError, Store, StoreError};
use token_refresh_redis::{
    Redis, RedisStore, RedisStoreError, Seal,
    redis::{Client, Value},
};

use crate::server::Server;

fn server_with_a_record() -> (Server, RedisStore) {
    let server = Server::start();
    let store = server.redis().credential("alice");
    store.commit(store.load().unwrap().version, &numbered(1)).unwrap();
    (server, store)
}

fn told(store: RedisStore) -> (RedisStore, Arc<Mutex<Vec<RedisStoreError>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let store = store.on_error({
        let told = told.clone();
        move |error| told.lock().unwrap().push(error.clone())
    });
    (store, told)
}

fn text(value: Value) -> String {
    let Value::BulkString(bytes) = value else { panic!("no text: {value:?}") };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn rule_12_a_killed_server_forgets_nothing_if_it_writes_before_it_answers() {
    let (mut server, store) = server_with_a_record();
    let before = store.load().unwrap();
    server.kill();
    assert_eq!(outage_conformance(&store), Ok(()));
    server.go();
    assert_eq!(store.load(), Ok(before.clone()));
    let version = store.commit(before.version, &numbered(2)).unwrap();

    // Between two calls, so that the connection breaks unnoticed.
    server.kill();
    server.go();
    let again = (0..2).find_map(|_| store.load().ok()).expect("unavailable for more than one call");
    assert_eq!((again.version, again.record), (version, Some(numbered(2))));
}

#[test]
fn mp_04_a_server_that_never_answers_is_unavailable_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::open(format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    let store = Redis::new(client).credential("alice");
    assert_eq!(outage_conformance(&store), Ok(()));
    assert_eq!(store.check(), Err(RedisStoreError::TimedOut));
}

#[test]
fn mp_04_a_server_that_stops_answering_is_unavailable_in_time() {
    let (server, store) = server_with_a_record();
    server.say(&["CLIENT", "PAUSE", "10000", "ALL"]);
    assert_eq!(outage_conformance(&store), Ok(()));
}

#[test]
fn pers_04_what_cannot_be_read_is_an_error_and_is_left_as_it_is() {
    let (server, store) = server_with_a_record();
    let version = store.load().unwrap().version;
    let (store, told) = told(store);
    server.say(&["HSET", "alice", "record", "mine"]);
    assert_eq!(store.load(), Err(StoreError));
    assert_eq!(store.commit(version, &numbered(2)), Err(CommitError::Unavailable));
    assert_eq!(text(server.say(&["HGET", "alice", "record"])), "mine");
    assert!(matches!(
        told.lock().unwrap().as_slice(),
        [RedisStoreError::Format(_), RedisStoreError::Format(_)]
    ));

    server.say(&["SET", "bob", "mine"]);
    let error = server.redis().credential("bob").check().unwrap_err();
    assert!(matches!(error, RedisStoreError::Refused(_)), "{error}");
    assert_eq!(text(server.say(&["GET", "bob"])), "mine");
}

#[test]
fn a_commit_counts_only_once_the_replicas_have_it() {
    let server = Server::start();
    let (store, told) = told(server.redis().replicas(1).credential("alice"));
    let version = store.load().unwrap().version;
    assert_eq!(store.commit(version, &numbered(1)), Err(CommitError::Unavailable));
    assert_eq!(*told.lock().unwrap(), [RedisStoreError::TooFewReplicas { confirmed: 0, wanted: 1 }]);

    let replica = server.replica();
    let version = store.load().unwrap().version;
    store.commit(version, &numbered(2)).unwrap();
    assert!(text(replica.say(&["HGET", "alice", "record"])).contains("\"serial\":\"2\""));
}

#[test]
fn sec_05_an_encrypted_record_shows_nothing_and_is_not_read_without_its_key() {
    let server = Server::start();
    let redis = server.redis();
    let sealed = redis.credential("alice").sealed(Seal::new(&[1; 32]));
    sealed.commit(sealed.load().unwrap().version, &large(1, 40)).unwrap();
    let record = text(server.say(&["HGET", "alice", "record"]));
    assert!(record.starts_with("token-refresh-sealed/1:") && !record.contains("aaaaaaaa"), "{record}");
    for other in [redis.credential("alice"), redis.credential("alice").sealed(Seal::new(&[2; 32]))] {
        assert!(matches!(other.check(), Err(RedisStoreError::Format(_))));
    }
    server.say(&["COPY", "alice", "bob"]);
    let copied = redis.credential("bob").sealed(Seal::new(&[1; 32]));
    assert!(
        matches!(copied.check(), Err(RedisStoreError::Format(_))),
        "a record that was copied to another key"
    );
}

#[test]
fn sec_04_a_refusal_shows_no_token() {
    let (server, store) = server_with_a_record();
    let (store, told) = told(store);
    let version = store.load().unwrap().version;
    server.say(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(store.commit(version, &large(2, 40)), Err(CommitError::Unavailable));
    let said = format!("{:?}", told.lock().unwrap());
    assert!(said.contains("OOM") || said.contains("memory"), "{said}");
    assert!(!said.contains("aaaaaaaa") && !said.contains("rrrrrrrr"), "{said}");
}

#[test]
fn the_key_never_expires() {
    let (server, _) = server_with_a_record();
    assert_eq!(server.say(&["TTL", "alice"]), Value::Int(-1));
}
