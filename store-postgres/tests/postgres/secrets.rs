//! Where tokens can be seen, and where not.

use std::sync::Mutex;

use token_refresh_conformance::stores::records::large;
use token_refresh_driver::Store;
use token_refresh_postgres::{PostgresError, Seal};

use crate::server::Server;

/// Everything that was logged by anybody.
struct Log(Mutex<Vec<String>>);

static LOG: Log = Log(Mutex::new(Vec::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn sec_04_the_log_shows_no_token_at_any_level() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let server = Server::start();
    let postgres = server.connect();
    postgres.create_table().unwrap();
    let store = postgres.credential("alice");
    store.commit(store.load().unwrap().version, &large(1, 40)).unwrap();
    // Errors quote what they complain about.
    server.sql("ALTER TABLE token_refresh ADD CHECK (record IS NULL OR version < 0) NOT VALID");
    let store = store.on_error(|error| LOG.0.lock().unwrap().push(format!("{error} {error:?}")));
    store.commit(store.load().unwrap().version, &large(2, 40)).unwrap_err();
    let seen = LOG.0.lock().unwrap().join("\n");
    assert!(seen.contains("violates check constraint"), "{seen}");
    assert!(!seen.contains("token-refresh/1"), "the row is quoted: {seen}");
    for letter in ["a", "r", "i"] {
        assert!(!seen.contains(&letter.repeat(8)), "{seen}");
    }
}

#[test]
fn sec_05_an_encrypted_row_shows_nothing_and_is_not_read_without_its_key() {
    let server = Server::start();
    let postgres = server.connect();
    postgres.create_table().unwrap();
    let sealed = postgres.credential("alice").sealed(Seal::new(&[1; 32]));
    sealed.commit(sealed.load().unwrap().version, &large(1, 40)).unwrap();
    let row = server.query("SELECT record FROM token_refresh");
    assert!(row.starts_with("token-refresh-sealed/1:") && !row.contains("aaaaaaaa"), "{row}");
    let others = [postgres.credential("alice"), postgres.credential("alice").sealed(Seal::new(&[2; 32]))];
    for other in others {
        assert!(matches!(other.check(), Err(PostgresError::Format(_))));
    }
    server.sql("INSERT INTO token_refresh SELECT 'bob', version, record FROM token_refresh");
    let copied = postgres.credential("bob").sealed(Seal::new(&[1; 32]));
    assert!(matches!(copied.check(), Err(PostgresError::Format(_))), "a row that was copied to another name");
}
