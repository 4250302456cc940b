//! What a program can read out of a session.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use support::{LIFETIME, MemoryStore, PATIENCE, World, grant};
use token_refresh_driver::{AmbiguousPolicy, Config, ConfigWarning, Session};

#[test]
fn a_token_says_when_it_ends_and_a_session_what_it_is_for() {
    let world = World::new(|builder| builder);
    world.session.sign_in(grant("at1", "rt1").with_scope("read write"));
    let token = world.session.token().unwrap();
    let end = UNIX_EPOCH + Duration::from_secs(1_800_000_000) + LIFETIME;
    assert_eq!((token.expires_at(), world.session.scope().as_deref()), (Some(end), Some("read write")));

    // Counted from when the request was sent (TIME-01). The scope is as before, since the answer does not name another.
    world.clock.advance(LIFETIME);
    let caller = world.waiting(1, Session::token);
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    let token = world.session.token().unwrap();
    assert_eq!(
        (token.expires_at(), world.session.scope().as_deref()),
        (Some(end + LIFETIME), Some("read write"))
    );
}

#[test]
fn obs_02_a_transient_failure_has_an_instant_that_is_a_system_time() {
    let world = World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().answer(503, r#"{"error":"temporarily_unavailable"}"#);
    let error = caller.answers().remove(0).unwrap_err();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let wait = error.retry_at().unwrap().duration_since(now).unwrap();
    assert!(wait <= Duration::from_millis(500), "{wait:?}");

    world.session.sign_out();
    assert_eq!(world.session.token().unwrap_err().retry_at(), None);
}

/// Exported at the end of one program and signed in with at the start of the next, a grant is as good as before.
#[test]
fn an_exported_grant_has_the_newest_refresh_token_and_what_is_left_of_its_life() {
    let world = World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    world.session.settle(PATIENCE).unwrap();
    world.clock.advance(Duration::from_secs(600));

    let exported = world.session.export_grant().unwrap();
    assert_eq!(exported.refresh_token().unwrap().expose(), "rt2");
    assert_eq!(exported.lifetime(), Some(Duration::from_secs(3000)));

    let next = World::new(|builder| builder);
    next.session.sign_in(exported);
    assert_eq!(next.session.token().unwrap().secret().expose(), "at2");
    next.session.sign_out();
    assert!(next.session.export_grant().is_none());
}

#[test]
fn retry_06_a_session_says_what_is_odd_about_its_configuration() {
    let mut config = Config::default();
    config.ambiguous = AmbiguousPolicy::Once { window: Duration::from_secs(24), last_resort: true };
    let warnings = |shared: bool| {
        let config = config.clone();
        let world = World::new(move |builder| {
            let builder = builder.config(config);
            if shared { builder.store(MemoryStore::default()) } else { builder }
        });
        world.session.warnings()
    };
    assert_eq!(warnings(false), []);
    assert_eq!(warnings(true), [ConfigWarning::WindowTooShortForTakeover]);
}
