//! From the bytes of an answer to what a program is told: the table of Q2, a row for each kind of answer.
#![cfg(feature = "wire")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test is no part of the core"
)]

use std::time::Duration;

use token_refresh_core::{
    Acquire, Action,
    Cause::{self, Misconfigured, NeedsSignIn, Transient, Uncertain},
    Config, Effect, Event, ExchangeError, Failure, FailureKind, Grant, Machine, Retry, Scope, Secret, State,
    Timestamp,
    wire::{ClientAuth, JsonEndpoint, OAuthClient, Reply},
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HTML: &str = "<!DOCTYPE html><title>Blocked</title>";

/// Who is asked.
#[derive(Clone, Copy, Debug)]
enum Asked {
    OAuth,
    Public,
    Json,
}
use Asked::{Json, OAuth, Public};

impl Asked {
    fn read(self, reply: &Reply<'_>) -> Result<Grant, ExchangeError> {
        let client_id = || "app".to_owned();
        match self {
            OAuth => {
                let auth = ClientAuth::Basic { client_id: client_id(), client_secret: Secret::from("s") };
                OAuthClient::new(auth).with_scope("read").read(reply, START)
            }
            Public => OAuthClient::new(ClientAuth::None { client_id: client_id() }).read(reply, START),
            Json => JsonEndpoint::new().read(reply, START),
        }
    }
}

/// What came of a refusal whose refresh got nothing but the same answer.
#[derive(Debug)]
struct End {
    failure: Failure,
    /// The scope that each attempt asked for.
    attempts: Vec<Scope>,
    machine: Machine,
}

fn machine() -> Machine {
    let mut machine = Machine::new(Config::default(), 1, START).unwrap();
    machine.sign_in(Grant::new("at-1").unwrap().with_refresh_token("rt-1").unwrap(), START);
    machine
}

fn refused(result: &Result<Grant, ExchangeError>) -> End {
    let mut machine = machine();
    let token = machine.current().unwrap().id;
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let mut attempts = Vec::new();
    loop {
        match machine.poll_action().expect("the caller is answered") {
            Action::Run(Effect::Exchange { ticket, scope, refresh, .. }) => {
                assert_eq!(refresh, Some(Secret::from("rt-1")));
                attempts.push(scope);
                let event = Event::Exchanged { ticket, sent_at: START, result: result.clone() };
                machine.handle_event(event, START).unwrap();
            }
            Action::Resolve { outcome, .. } => {
                return End { failure: outcome.unwrap_err(), attempts, machine };
            }
            _ => {}
        }
    }
}

fn end(asked: Asked, status: u16, headers: &[(&str, &[u8])], body: &str) -> End {
    refused(&asked.read(&Reply { status, headers, body: body.as_bytes() }))
}

#[test]
fn obs_02_every_row_of_the_table_has_its_cause() {
    // Who is asked, the answer, how often it is asked in one round, and what the program hears.
    let table: &[(Asked, u16, &str, usize, Cause)] = &[
        (OAuth, 400, r#"{"error":"invalid_grant"}"#, 1, NeedsSignIn),
        (OAuth, 401, r#"{"error":"invalid_grant"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"invalid_grant","suberror":"bad_token"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"invalid_grant","suberror":"consent_required"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"interaction_required"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"consent_required"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"login_required"}"#, 1, NeedsSignIn),
        (OAuth, 403, r#"{"error":"access_denied"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"invalid_client"}"#, 1, Misconfigured),
        (OAuth, 401, r#"{"error":"invalid_client"}"#, 1, Misconfigured),
        (OAuth, 400, r#"{"error":"unauthorized_client"}"#, 1, Misconfigured),
        (OAuth, 400, r#"{"error":"unsupported_grant_type"}"#, 1, Misconfigured),
        (OAuth, 400, r#"{"error":"invalid_request"}"#, 2, Misconfigured),
        (OAuth, 400, r#"{"error":"invalid_scope"}"#, 2, NeedsSignIn),
        (Public, 400, r#"{"error":"invalid_scope"}"#, 1, NeedsSignIn),
        (OAuth, 400, r#"{"error":"invalid_target"}"#, 1, Misconfigured),
        (OAuth, 400, r#"{"error":"invalid_dpop_proof"}"#, 1, Misconfigured),
        (OAuth, 400, r#"{"error":"use_dpop_nonce"}"#, 1, Transient),
        (OAuth, 400, r#"{"error":"temporarily_unavailable"}"#, 1, Transient),
        (OAuth, 400, r#"{"error":"server_error"}"#, 1, Transient),
        (OAuth, 400, r#"{"error":"internal_failure"}"#, 1, Transient),
        (OAuth, 500, r#"{"error":"server_error"}"#, 2, Uncertain),
        (OAuth, 429, "", 1, Transient),
        (OAuth, 408, "", 1, Transient),
        (OAuth, 425, "", 1, Transient),
        (OAuth, 511, HTML, 1, Transient),
        (OAuth, 500, "", 2, Uncertain),
        (OAuth, 502, HTML, 2, Uncertain),
        (OAuth, 503, "", 2, Uncertain),
        (OAuth, 504, "", 2, Uncertain),
        (OAuth, 200, "", 2, Uncertain),
        (OAuth, 200, HTML, 2, Uncertain),
        (OAuth, 200, r#"{"token_type":"Bearer"}"#, 2, Uncertain),
        (OAuth, 200, r#"{"access_token":"a","token_type":"Bearer""#, 2, Uncertain),
        (OAuth, 200, r#"{"error":"invalid_grant"}"#, 1, NeedsSignIn),
        (OAuth, 200, r#"{"error":"temporarily_unavailable"}"#, 1, Transient),
        (OAuth, 401, "", 1, Misconfigured),
        (Public, 401, "", 1, Transient),
        (Json, 401, "", 1, NeedsSignIn),
        (Json, 401, HTML, 1, Transient),
        (OAuth, 403, HTML, 1, Transient),
        (OAuth, 403, "", 1, Misconfigured),
        (Json, 403, r#"{"message":"no"}"#, 1, NeedsSignIn),
        (Json, 403, HTML, 1, Transient),
        (OAuth, 400, "", 1, Transient),
        (OAuth, 400, HTML, 1, Transient),
        (Json, 400, r#"{"message":"Invalid refresh token","status":400}"#, 1, Transient),
        (OAuth, 404, "", 1, Misconfigured),
        (OAuth, 405, "", 1, Misconfigured),
        (OAuth, 410, "", 1, Misconfigured),
        (OAuth, 415, "", 1, Misconfigured),
        (OAuth, 302, "", 1, Misconfigured),
        (OAuth, 308, "", 1, Misconfigured),
    ];
    for (asked, status, body, attempts, cause) in table {
        let end = end(*asked, *status, &[], body);
        assert_eq!(end.failure.cause(), *cause, "{asked:?} {status} {body}: {:?}", end.failure);
        assert_eq!(end.attempts.len(), *attempts, "{asked:?} {status} {body}");
        assert_eq!(end.machine.state(), State::Failed(end.failure));
    }
    // What is no answer at all.
    let row = |error| (refused(&Err(error)).failure.cause(), refused(&Err(error)).attempts.len());
    assert_eq!(row(ExchangeError::NotSent), (Transient, 1));
    assert_eq!(row(ExchangeError::Ambiguous { retry_after: None }), (Uncertain, 2));
}

#[test]
fn xrsp_12_only_a_dead_refresh_token_or_the_user_ends_by_sign_in_alone() {
    for (body, retry) in [
        (r#"{"error":"invalid_grant"}"#, Retry::Never),
        (r#"{"error":"login_required"}"#, Retry::Never),
        (r#"{"error":"invalid_client"}"#, Retry::At(START.after(Config::default().cool_down))),
        (r#"{"error":"invalid_request"}"#, Retry::At(START.after(Config::default().cool_down))),
    ] {
        assert_eq!(end(OAuth, 400, &[], body).failure.retry, retry, "{body}");
    }
}

#[test]
fn q2_invalid_scope_is_asked_once_more_without_a_scope() {
    let end = end(OAuth, 400, &[], r#"{"error":"invalid_scope"}"#);
    assert_eq!(end.attempts, [Scope::Configured, Scope::Granted]);
    assert_eq!(end.failure.kind, FailureKind::Interaction);
}

#[test]
fn q2_a_400_without_code_passes_twice_and_is_then_misconfigured() {
    let End { failure, mut machine, .. } = end(OAuth, 400, &[], "");
    let mut kinds = vec![failure.kind];
    let mut retry = failure.retry;
    for _ in 0..2 {
        let Retry::At(now) = retry else { panic!("{retry:?}") };
        assert!(matches!(machine.acquire(now), Acquire::Wait(_)));
        while let Some(action) = machine.poll_action() {
            match action {
                Action::Run(Effect::Exchange { ticket, .. }) => {
                    let result = Err(ExchangeError::Unexplained);
                    machine.handle_event(Event::Exchanged { ticket, sent_at: now, result }, now).unwrap();
                }
                Action::Resolve { outcome, .. } => {
                    let failure = outcome.unwrap_err();
                    kinds.push(failure.kind);
                    retry = failure.retry;
                }
                _ => {}
            }
        }
    }
    assert_eq!(kinds, [FailureKind::Transient, FailureKind::Transient, FailureKind::Misconfigured]);
}

/// A server that asks to be left alone for a while is not asked again at once, though the window is open.
#[test]
fn retry_05_a_wish_in_an_ambiguous_answer_puts_off_the_prompt_presentation() {
    let wish: &[(&str, &[u8])] = &[("retry-after", b"7")];
    for (status, body) in [(500, ""), (502, HTML), (504, ""), (200, HTML)] {
        let mut end = end(OAuth, status, wish, body);
        assert_eq!((end.attempts.len(), end.failure.cause()), (1, Uncertain), "{status}");
        let Retry::At(until) = end.failure.retry else { panic!("{:?}", end.failure) };
        assert_eq!(until, START.after(Duration::from_secs(7)));
        assert!(matches!(end.machine.acquire(until.before(Duration::from_millis(1))), Acquire::Failed(_)));
        assert!(matches!(end.machine.acquire(until), Acquire::Wait(_)));
        let exchange = std::iter::from_fn(|| end.machine.poll_action())
            .any(|action| matches!(action, Action::Run(Effect::Exchange { .. })));
        assert!(exchange, "the window is still open");
    }
    // Zero is no wish to wait.
    assert_eq!(end(OAuth, 500, &[("retry-after", b"0")], "").attempts.len(), 2);
    // The cap holds here as well.
    let Retry::At(until) = end(OAuth, 500, &[("retry-after", b"99999999")], "").failure.retry else {
        panic!()
    };
    assert_eq!(until, START.after(Config::default().max_retry_after));
}
