use std::{
    net::TcpListener,
    process::Stdio,
    sync::{Arc, Mutex},
};

use token_refresh_conformance::stores::{outage_conformance, records::numbered};
use token_refresh_driver::{CommitError, Store, StoreError};
use token_refresh_postgres::{
    Postgres, PostgresError, PostgresStore,
    tokio_postgres::{Config, NoTls},
};

use crate::server::Server;

fn server_with_a_record() -> (Server, PostgresStore) {
    let server = Server::start();
    let postgres = server.connect();
    postgres.create_table().unwrap();
    let store = postgres.credential("alice");
    store.commit(store.load().unwrap().version, &numbered(1)).unwrap();
    (server, store)
}

#[test]
fn a_restart_is_got_over_and_nothing_that_was_answered_is_lost() {
    let (server, store) = server_with_a_record();
    let before = store.load().unwrap();
    server.stop();
    assert_eq!(outage_conformance(&store), Ok(()));
    server.go();
    assert_eq!(store.load(), Ok(before.clone()));
    let version = store.commit(before.version, &numbered(2)).unwrap();

    // Between two calls: no call fails, since the connection's thread has noticed long before the server is back.
    server.stop();
    server.go();
    let again = store.load().unwrap();
    assert_eq!((again.version, again.record), (version, Some(numbered(2))));
}

#[test]
fn mp_04_a_server_that_never_answers_is_unavailable_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::new();
    config.host("127.0.0.1").port(listener.local_addr().unwrap().port()).user("test");
    let store = Postgres::new(config, NoTls).unwrap().credential("alice");
    assert_eq!(outage_conformance(&store), Ok(()));
    assert_eq!(store.check(), Err(PostgresError::TimedOut));
}

#[test]
fn a_row_that_somebody_else_holds_makes_a_commit_unavailable_and_it_does_not_land_later() {
    let (server, store) = server_with_a_record();
    let version = store.load().unwrap().version;
    let hold = "BEGIN; SELECT * FROM token_refresh FOR UPDATE; SELECT pg_sleep(600)";
    let mut holder = server.psql(hold).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while server.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1" {}

    assert_eq!(store.commit(version, &numbered(2)), Err(CommitError::Unavailable));
    assert_eq!(store.load().unwrap().record, Some(numbered(1)), "a load waits for nobody");

    while server.query("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0" {}
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    holder.wait().unwrap();
    assert_eq!(store.load().unwrap().version, version, "it landed later");
    store.commit(version, &numbered(3)).unwrap();
}

#[test]
fn rule_12_commits_are_synchronous_whatever_the_default() {
    let server = Server::start();
    server.sql("ALTER ROLE test SET synchronous_commit = off");
    server.connect().create_table().unwrap();
    server.sql(
        "CREATE TABLE seen (setting text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE UPDATE ON token_refresh FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let store = server.connect().credential("alice");
    store.commit(store.load().unwrap().version, &numbered(1)).unwrap();
    assert_eq!(server.query("SELECT setting FROM seen"), "on");
}

#[test]
fn pers_04_a_row_that_cannot_be_read_is_an_error_and_is_left_as_it_is() {
    let (server, store) = server_with_a_record();
    let version = store.load().unwrap().version;
    let told = Arc::new(Mutex::new(Vec::new()));
    let store = store.on_error({
        let told = told.clone();
        move |error| told.lock().unwrap().push(error.clone())
    });
    server.sql("UPDATE token_refresh SET record = 'mine'");
    assert_eq!(store.load(), Err(StoreError));
    assert_eq!(store.commit(version, &numbered(2)), Err(CommitError::Unavailable));
    assert_eq!(server.query("SELECT record FROM token_refresh"), "mine");
    let told = told.lock().unwrap();
    assert!(matches!(told.as_slice(), [PostgresError::Format(_), PostgresError::Format(_)]), "{told:?}");
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let server = Server::start();
    let store = server.connect().credential("alice");
    assert_eq!(store.check(), Err(PostgresError::NoTable));
    let mut config = server.config();
    config.user("nobody-of-that-name");
    let error = Postgres::new(config, NoTls).unwrap().credential("alice").check().unwrap_err();
    assert!(matches!(&error, PostgresError::Refused { code, .. } if code == "28000"), "{error}");
    assert!(error.to_string().contains("nobody-of-that-name"), "{error}");
}

#[test]
fn many_can_create_the_table_at_once() {
    let server = Server::start();
    let postgres: Vec<_> = (0..8).map(|_| server.connect()).collect();
    std::thread::scope(|scope| {
        let created: Vec<_> = postgres.iter().map(|one| scope.spawn(|| one.create_table())).collect();
        let created: Vec<_> = created.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(created, vec![Ok(()); 8]);
    });
}
