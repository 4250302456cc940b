//! The requests of a session's own, and what a transport is told about them.
#![allow(clippy::unwrap_used)]

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Response};
use support::profile;
use token_refresh_driver::{
    Attempt, BuildError, Config, ConfigError, Endpoint, ExchangeError, JsonProfile, ManualClock,
    OAuthProfile, Profile, Renewal, Secret, Session, Timestamp, TransportError,
    wire::{ClientAuth, JsonEndpoint, OAuthClient},
};

fn json(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
}

#[test]
fn xreq_01_the_refresh_grant_is_one_form_to_the_endpoint() {
    let request = profile().request(Some(&Secret::from("rt1"))).unwrap();
    assert_eq!(
        (request.method(), request.uri()),
        (&Method::POST, &"https://auth.example/token".parse().unwrap())
    );
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(!request.headers().contains_key("authorization"));
    assert_eq!(&request.body()[..], b"grant_type=refresh_token&refresh_token=rt1&client_id=app");
}

#[test]
fn sec_04_a_client_secret_in_a_field_is_marked_sensitive() {
    let auth = ClientAuth::Basic { client_id: "app".into(), client_secret: Secret::from("hunter2") };
    let endpoint = Endpoint::https("https://auth.example/token").unwrap();
    let profile = OAuthProfile::refresh_token(OAuthClient::new(auth), endpoint);
    let request = profile.request(Some(&Secret::from("rt1"))).unwrap();
    let value = &request.headers()["authorization"];
    assert!(value.is_sensitive());
    let shown = format!("{profile:?} {:?}", request.headers());
    assert!(!shown.contains("hunter2") && !shown.contains(value.to_str().unwrap()), "{shown}");
}

#[test]
fn rfc_7009_a_revocation_goes_to_its_endpoint_if_there_is_one() {
    let request = profile().revocation(&Secret::from("rt1")).unwrap();
    assert_eq!(request.uri(), "https://auth.example/revoke");
    assert_eq!(&request.body()[..], b"client_id=app&token=rt1&token_type_hint=refresh_token");

    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    let without = OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token").unwrap());
    assert!(without.revocation(&Secret::from("rt1")).is_none());
}

#[test]
fn client_credentials_need_no_refresh_token() {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    let endpoint = Endpoint::https("https://auth.example/token").unwrap();
    let profile = OAuthProfile::client_credentials(client, endpoint);
    assert_eq!(profile.renewal(), Renewal::Ambient);
    assert_eq!(&profile.request(None).unwrap().body()[..], b"grant_type=client_credentials&client_id=app");

    let (server, wire) = support::server();
    let session = Session::builder().blocking(wire, profile).unwrap();
    let caller = support::Callers::start(&session, 1, Session::token);
    server.call().answer(200, r#"{"access_token":"at1","token_type":"Bearer"}"#);
    assert_eq!(caller.tokens(), ["at1"]);
}

#[test]
fn a_json_endpoint_is_asked_and_read_by_its_own_names() {
    let format = JsonEndpoint::new().with_request_member("token").with_access_token_at("data.token");
    let profile = JsonProfile::new(format, Endpoint::https("https://api.example/refresh").unwrap());
    let request = profile.request(Some(&Secret::from("rt1"))).unwrap();
    assert_eq!(&request.body()[..], br#"{"token":"rt1"}"#);
    let grant = profile.read(&json(200, r#"{"data":{"token":"at2"}}"#), None, Timestamp::ZERO).unwrap();
    assert_eq!(grant.access_token(), &Secret::from("at2"));
    assert!(profile.revocation(&Secret::from("rt1")).is_none());
}

#[test]
fn q2_the_fields_of_an_answer_are_read_too() {
    let mut response = json(503, "");
    response.headers_mut().insert("retry-after", "7".parse().unwrap());
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(
        profile().read(&response, None, Timestamp::ZERO),
        Err(ExchangeError::Transient { retry_after })
    );
    let refusal = json(400, r#"{"error":"invalid_grant"}"#);
    assert_eq!(profile().read(&refusal, None, Timestamp::ZERO), Err(ExchangeError::Permanent));
}

fn attempt(clock: &ManualClock) -> Attempt {
    let send_by = Timestamp::from_millis(2_000);
    Attempt::new(Arc::new(clock.clone()), send_by, Duration::from_secs(10))
}

#[test]
fn retry_01_an_attempt_that_comes_too_late_sends_nothing() {
    let clock = ManualClock::new(Timestamp::ZERO);
    let late = attempt(&clock);
    assert_eq!(late.time_to_begin(), Duration::from_secs(2));
    clock.advance(Duration::from_millis(2_001));
    assert_eq!(late.time_to_begin(), Duration::ZERO);
    assert_eq!(late.begin(), Err(TransportError::NotSent));
    assert_eq!(late.sent_at(), None);
}

#[test]
fn xreq_02_an_attempt_begins_once() {
    let clock = ManualClock::new(Timestamp::ZERO);
    let attempt = attempt(&clock);
    clock.advance(Duration::from_secs(2));
    assert_eq!(attempt.begin(), Ok(()));
    assert_eq!(attempt.sent_at(), Some(Timestamp::from_millis(2_000)));
    assert_eq!(attempt.clone().begin(), Err(TransportError::Ambiguous));
    clock.advance(Duration::from_secs(60));
    assert_eq!(attempt.begin(), Err(TransportError::Ambiguous));
    assert_eq!(attempt.sent_at(), Some(Timestamp::from_millis(2_000)));
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let mut config = Config::default();
    config.max_waiters = 0;
    let (_server, wire) = support::server();
    let error = Session::builder().config(config).blocking(wire, profile()).unwrap_err();
    assert_eq!(error, BuildError::Config(ConfigError::NoWaiters));
}

#[test]
fn time_01_a_lifetime_counts_from_the_first_byte_of_the_request() {
    let world = support::World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    let call = world.server.call();
    world.clock.advance(Duration::from_secs(5));
    call.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    // Ten seconds before the end the token is not used any more (CORE-16), five of which the answer took.
    world.clock.advance(support::LIFETIME.saturating_sub(Duration::from_millis(15_001)));
    assert_eq!(world.session.token().unwrap().secret().expose(), "at2");
    world.server.call().answer(429, "");
    world.session.settle(support::PATIENCE).unwrap();
    world.clock.advance(Duration::from_millis(1));
    assert!(world.session.token_within(Duration::ZERO).is_err());
}
