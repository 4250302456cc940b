//! The end of a session at the server: as best one can, and never in the way of the sign-out (SESS-05).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use support::{Call, PATIENCE, World};

fn unavailable(retry_after: &str) -> Response<Bytes> {
    Response::builder().status(503).header("retry-after", retry_after).body(Bytes::new()).unwrap()
}

fn signed_out() -> (World, Call) {
    let world = World::signed_in();
    world.session.sign_out();
    let call = world.server.call();
    assert!(call.revokes("rt1"), "{}", call.form);
    // The server has not answered, and the session is over.
    assert!(world.session.token().is_err());
    (world, call)
}

#[test]
fn sess_05_a_503_is_asked_again_after_the_time_that_it_names() {
    let (world, call) = signed_out();
    call.reply(unavailable("5"));
    assert!(world.clock.await_parked(1, PATIENCE));
    world.clock.advance(Duration::from_millis(4_999));
    assert!(world.server.is_quiet());
    world.clock.advance(Duration::from_millis(1));
    let again = world.server.call();
    assert!(again.revokes("rt1"));
    again.answer(200, "");
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

#[test]
fn sess_05_three_attempts_are_all() {
    let (world, mut call) = signed_out();
    for _ in 0..2 {
        call.answer(503, "");
        assert!(world.clock.await_parked(1, PATIENCE));
        world.clock.advance(Duration::from_secs(1));
        call = world.server.call();
    }
    call.answer(503, "");
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

#[test]
fn sess_05_what_would_take_too_long_is_left() {
    for retry_after in ["31", "3600", "99999999999999999999"] {
        let (world, call) = signed_out();
        call.reply(unavailable(retry_after));
        world.session.settle(PATIENCE).unwrap();
        assert!(world.server.is_quiet());
    }
}

#[test]
fn rfc_7009_any_other_answer_is_the_last() {
    for (status, body) in [
        (200, ""),
        (400, r#"{"error":"unsupported_token_type"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (404, ""),
        (429, ""),
        (500, ""),
    ] {
        let (world, call) = signed_out();
        call.answer(status, body);
        world.session.settle(PATIENCE).unwrap();
        assert!(world.server.is_quiet(), "{status}");
    }
    // The connection is cut.
    let (world, call) = signed_out();
    drop(call);
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}
