//! A session that the server knows by a refresh cookie.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use support::{Call, Callers, Notices, Server};
use token_refresh_driver::{
    AllowedOrigins, Cause, CookieProfile, Endpoint, Error, Grant, ManualClock, Notice, Profile, Rules,
    Session, Timestamp, Token, TokenType, wire::JsonEndpoint,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn profile() -> CookieProfile {
    let endpoint = Endpoint::https("https://app.example/refresh").unwrap();
    CookieProfile::new(JsonEndpoint::new(), endpoint, "refresh")
        .with_csrf("x-csrf-token".parse().unwrap(), "csrf")
        .with_field("x-requested-with".parse().unwrap(), "app".parse().unwrap())
}

fn answer(status: u16, cookies: &[&str], body: &'static str) -> Response<Bytes> {
    let response = Response::builder().status(status);
    let response =
        cookies.iter().fold(response, |response, cookie| response.header(header::SET_COOKIE, *cookie));
    response.body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn signed_in() -> Grant {
    let cookies = ["session=s1; HttpOnly; Secure", "csrf=c1", "refresh=r1; Path=/refresh; HttpOnly; Secure"];
    profile().read(&answer(200, &cookies, ""), None, NOW).unwrap()
}

fn session() -> (Session, Server, ManualClock) {
    let (server, wire) = support::server();
    let clock = ManualClock::new(NOW);
    let session = Session::builder().clock(clock.clone()).blocking(wire, profile()).unwrap();
    (session, server, clock)
}

fn cookie(call: &Call) -> Option<&str> {
    Some(call.headers.get(header::COOKIE)?.to_str().unwrap())
}

fn refresh(session: &Session, server: &Server, reply: Response<Bytes>) -> Result<Token, Error> {
    let refused = session.current().unwrap().id();
    let caller = Callers::start(session, 1, move |session| session.reject(refused));
    server.call().reply(reply);
    let answer = caller.answers().remove(0);
    if let Ok(token) = &answer {
        session.accept(token.id());
    }
    answer
}

#[test]
fn cook_02_a_204_counts_and_its_cookies_are_the_token() {
    let (session, server, _) = session();
    session.sign_in(signed_in());
    let first = session.token().unwrap();
    assert_eq!((first.field(), first.header().to_str().unwrap()), (header::COOKIE, "session=s1; csrf=c1"));
    assert!(first.header().is_sensitive());

    let refused = first.id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let call = server.call();
    assert_eq!(cookie(&call), Some("session=s1; csrf=c1; refresh=r1"));
    assert_eq!(call.headers["x-csrf-token"], "c1");
    assert_eq!(call.headers["x-requested-with"], "app");
    assert_eq!((call.path.as_str(), call.form.as_str()), ("/refresh", "{}"));
    call.reply(answer(204, &["session=s2; Max-Age=300", "refresh=r2; Max-Age=9000"], ""));
    let second = caller.answers().remove(0).unwrap();
    assert!(second.id() > first.id());
    assert_eq!(second.header(), "csrf=c1; session=s2");
    session.accept(second.id());

    // Nothing new in it: the generation counts all the same.
    let third = refresh(&session, &server, answer(204, &[], "")).unwrap();
    assert!(third.id() > second.id());
    assert_eq!(third.header(), second.header());

    let refused = third.id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let call = server.call();
    assert_eq!(cookie(&call), Some("csrf=c1; session=s2; refresh=r2"));
    call.reply(answer(200, &["session=s3"], r#"{"ok":true}"#));
    assert_eq!(caller.answers().remove(0).unwrap().header(), "csrf=c1; session=s3");
}

#[test]
fn time_01_the_age_of_a_cookie_is_a_lifetime() {
    let grant = profile().read(&answer(204, &["session=s; Max-Age=300"], ""), None, NOW).unwrap();
    assert_eq!(grant.lifetime().map(|lifetime| lifetime.as_secs()), Some(300));
    assert_eq!(grant.token_type(), TokenType::Cookie);
}

#[test]
fn an_access_token_in_the_content_travels_as_one() {
    let (session, server, _) = session();
    session.sign_in(Grant::new("at1").unwrap());
    let token =
        refresh(&session, &server, answer(200, &["refresh=r2"], r#"{"access_token":"at2"}"#)).unwrap();
    assert_eq!((token.field(), token.header().to_str().unwrap()), (header::AUTHORIZATION, "Bearer at2"));

    let refused = token.id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let call = server.call();
    assert_eq!(cookie(&call), Some("refresh=r2"));
    call.reply(answer(200, &[], r#"{"access_token":"at3"}"#));
    assert_eq!(caller.tokens(), ["at3"]);
}

#[test]
fn cook_01_without_any_cookie_the_server_is_asked_and_its_401_ends_the_session() {
    let (session, server, _) = session();
    let notices = Notices::of(&session);
    let caller = Callers::start(&session, 1, Session::token);
    let call = server.call();
    assert_eq!(cookie(&call), None);
    call.answer(401, r#"{"message":"no session"}"#);
    let needs_sign_in = |answer: Result<Token, Error>| matches!(answer, Err(Error::Failed(failure)) if failure.cause() == Cause::NeedsSignIn);
    assert!(needs_sign_in(caller.answers().remove(0)));
    assert!(needs_sign_in(session.token()));
    assert!(server.is_quiet());
    let lost =
        notices.rest(&session).into_iter().filter(|notice| matches!(notice, Notice::SessionLost { .. }));
    assert_eq!(lost.count(), 1);
}

#[test]
fn cook_01_403_and_a_code_of_its_own_end_the_session_too() {
    let format = JsonEndpoint::new().with_rule(|reply| {
        (reply.member("code")? == "expired").then_some(token_refresh_driver::ExchangeError::Permanent)
    });
    let endpoint = Endpoint::https("https://app.example/refresh").unwrap();
    let profile = CookieProfile::new(format, endpoint, "refresh");
    let read = |status, body| profile.read(&answer(status, &["session=s2"], body), None, NOW).unwrap_err();
    assert_eq!(read(403, "{}"), token_refresh_driver::ExchangeError::Permanent);
    assert_eq!(read(400, r#"{"code":"expired"}"#), token_refresh_driver::ExchangeError::Permanent);
    assert_eq!(read(503, ""), token_refresh_driver::ExchangeError::Ambiguous { retry_after: None });
}

#[test]
fn xrsp_09_a_page_is_no_success_and_neither_is_one_that_leaves_nothing_to_send() {
    for (cookies, body) in [
        (&["session=s2"][..], "<html>sign in to the network</html>"),
        (&["session=s2"], r#"{"access_token":7}"#),
        (&[], ""),
        (&["refresh=r2"], "{}"),
    ] {
        let error = profile().read(&answer(200, cookies, body), None, NOW).unwrap_err();
        assert_eq!(error, token_refresh_driver::ExchangeError::Ambiguous { retry_after: None }, "{body}");
    }
}

#[test]
fn cook_02_the_cookies_of_an_orphaned_exchange_are_not_kept() {
    let (session, server, _) = session();
    session.sign_in(signed_in());
    let refused = session.current().unwrap().id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let call = server.call();
    session.sign_out();
    assert!(caller.answers().remove(0).is_err());
    call.reply(answer(204, &["session=s2", "refresh=r2"], ""));
    session.settle(support::PATIENCE).unwrap();
    assert!(session.current().is_none() && session.token().is_err());

    session.sign_in(signed_in());
    let refused = session.current().unwrap().id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    let call = server.call();
    assert_eq!(cookie(&call), Some("session=s1; csrf=c1; refresh=r1"));
    call.reply(answer(204, &[], ""));
    assert!(caller.answers().remove(0).is_ok());
}

#[test]
fn retry_02_a_refresh_cookie_may_be_spent_and_is_presented_with_care() {
    let (session, server, _) = session();
    session.sign_in(signed_in());
    let refused = session.current().unwrap().id();
    let caller = Callers::start(&session, 1, move |session| session.reject(refused));
    // Two answers are lost: one prompt presentation more, and then nothing for the time being.
    drop(server.call());
    drop(server.call());
    let Err(Error::Failed(failure)) = caller.answers().remove(0) else { panic!("no token") };
    assert_eq!(failure.cause(), Cause::Uncertain);
    assert!(server.is_quiet());
}

#[test]
fn cook_03_requests_and_their_repetitions_have_the_csrf_value_of_their_token() {
    let (session, server, _) = session();
    session.sign_in(signed_in());
    let rules = Rules::new(AllowedOrigins::none().https("https://app.example").unwrap())
        .csrf("x-csrf-token".parse().unwrap(), "csrf");
    let request = Request::post("https://app.example/things").header(header::COOKIE, "theme=dark");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let mut request = rules.admit(&parts).unwrap();
    let mut carried = |token: &Token| -> HeaderMap {
        let mut headers = parts.headers.clone();
        request.carry(token.clone(), &mut headers);
        headers
    };
    let first = carried(&session.token().unwrap());
    assert_eq!(first[header::COOKIE], "theme=dark; session=s1; csrf=c1");
    assert_eq!(first["x-csrf-token"], "c1");
    assert!(!first.contains_key(header::AUTHORIZATION));

    let newer = refresh(&session, &server, answer(204, &["csrf=c2"], "")).unwrap();
    let second = carried(&newer);
    assert_eq!(second[header::COOKIE], "theme=dark; session=s1; csrf=c2");
    assert_eq!(second["x-csrf-token"], "c2");
    assert_eq!(second.get_all(header::COOKIE).iter().count(), 1);
}
