//! Proofs that are good for one attempt, and the grants that are made of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use support::Callers;
use token_refresh_driver::{
    Cause, Endpoint, Error, ExchangeError, OAuthProfile, Profile, Renewal, Secret, Session,
    wire::{ClientAuth, OAuthClient},
};

fn client() -> OAuthClient {
    OAuthClient::new(ClientAuth::None { client_id: "app".into() })
}

fn token_endpoint() -> Endpoint {
    Endpoint::https("https://auth.example/token").unwrap()
}

/// A new one with each call.
fn numbered() -> impl Fn() -> Result<Secret, ExchangeError> + Send + Sync + 'static {
    let number = AtomicU32::new(0);
    move || Ok(Secret::from(format!("jwt-{}", number.fetch_add(1, Ordering::Relaxed) + 1)))
}

fn form(profile: &OAuthProfile, refresh: Option<&str>) -> String {
    let request = profile.request(refresh.map(Secret::from).as_ref()).unwrap();
    assert!(!request.headers().contains_key("authorization"));
    String::from_utf8(request.body().to_vec()).unwrap()
}

#[test]
fn xreq_09_each_attempt_has_a_client_assertion_of_its_own() {
    let profile = OAuthProfile::refresh_token(client(), token_endpoint())
        .with_client_assertion("app", numbered())
        .with_revocation_at(Endpoint::https("https://auth.example/revoke").unwrap());
    let expected = |number| {
        "grant_type=refresh_token&refresh_token=rt1&client_id=app\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion=jwt-"
            .to_owned()
            + number
    };
    assert_eq!(form(&profile, Some("rt1")), expected("1"));
    assert_eq!(form(&profile, Some("rt1")), expected("2"));
    let revocation = profile.revocation(&Secret::from("rt1")).unwrap();
    assert!(revocation.body().ends_with(b"&client_assertion=jwt-3&token=rt1&token_type_hint=refresh_token"));

    let shown = format!("{profile:?}");
    assert!(!shown.contains("jwt"), "{shown}");
}

#[test]
fn xreq_09_a_retry_of_the_machine_is_a_new_attempt() {
    let (server, wire) = support::server();
    let profile =
        OAuthProfile::refresh_token(client(), token_endpoint()).with_client_assertion("app", numbered());
    let session = Session::builder().blocking(wire, profile).unwrap();
    session.sign_in(support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let first = server.call();
    assert!(first.form.ends_with("jwt-1"), "{}", first.form);
    // The connection is cut, and the refresh token presented once more.
    drop(first);
    let second = server.call();
    assert!(second.form.ends_with("jwt-2"), "{}", second.form);
    second.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
}

#[test]
fn xreq_09_without_an_assertion_nothing_is_sent() {
    for (source, cause) in [
        (
            (|| Err(ExchangeError::Transient { retry_after: None })) as fn() -> Result<Secret, ExchangeError>,
            Cause::Transient,
        ),
        (|| Err(ExchangeError::Misconfigured), Cause::Misconfigured),
        (|| panic!("the callback panics, as the test asked for"), Cause::Misconfigured),
    ] {
        let (server, wire) = support::server();
        let session = Session::builder()
            .blocking(wire, OAuthProfile::jwt_bearer(client(), token_endpoint(), source))
            .unwrap();
        let Err(Error::Failed(failure)) = session.token() else { panic!("no token") };
        assert_eq!(failure.cause(), cause);
        assert!(server.is_quiet());
    }
}

#[test]
fn rfc_7523_an_assertion_is_the_grant_and_nobody_signs_in() {
    let profile = OAuthProfile::jwt_bearer(client().with_scope("read"), token_endpoint(), numbered());
    assert_eq!(profile.renewal(), Renewal::Ambient);
    assert_eq!(
        form(&profile, None),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=jwt-1&client_id=app&scope=read"
    );
    assert!(form(&profile, Some("rt1")).contains("&assertion=jwt-2&"), "a refresh token is of no use");

    let (server, wire) = support::server();
    let session = Session::builder().blocking(wire, profile).unwrap();
    let caller = Callers::start(&session, 1, Session::token);
    server.call().answer(200, r#"{"access_token":"at1","token_type":"Bearer"}"#);
    assert_eq!(caller.tokens(), ["at1"]);
}

#[test]
fn rfc_8693_a_token_is_exchanged_for_another_with_resource_and_audience() {
    let client = client()
        .with_resource("https://api.example/")
        .with_parameter("audience", "billing")
        .unwrap()
        .with_parameter("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .unwrap();
    let subject_token_type = "urn:ietf:params:oauth:token-type:jwt";
    let profile = OAuthProfile::token_exchange(client, token_endpoint(), subject_token_type, numbered());
    for number in ["jwt-1", "jwt-2"] {
        assert_eq!(
            form(&profile, None),
            format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={number}\
                 &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&client_id=app\
                 &resource=https%3A%2F%2Fapi.example%2F&audience=billing\
                 &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
            )
        );
    }
}

#[test]
fn xreq_12_each_refresh_names_its_resources() {
    let client = client()
        .with_resource("https://a.example/")
        .with_resource("https://b.example/")
        .with_parameter("audience", "billing")
        .unwrap();
    let profile = OAuthProfile::refresh_token(client, token_endpoint());
    for _ in 0..2 {
        assert!(form(&profile, Some("rt1")).ends_with(
            "&resource=https%3A%2F%2Fa.example%2F&resource=https%3A%2F%2Fb.example%2F&audience=billing"
        ));
    }
}

#[test]
fn q2_a_refused_scope_is_left_out_once() {
    let (server, wire) = support::server();
    let profile = OAuthProfile::refresh_token(client().with_scope("read"), token_endpoint());
    let session = Session::builder().blocking(wire, profile).unwrap();
    session.sign_in(support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let first = server.call();
    assert!(first.form.ends_with("&scope=read"), "{}", first.form);
    first.answer(400, r#"{"error":"invalid_scope"}"#);
    let second = server.call();
    assert!(second.form.contains("refresh_token=rt1") && !second.form.contains("scope="), "{}", second.form);
    second.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
}
