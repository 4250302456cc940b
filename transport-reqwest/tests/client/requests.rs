//! Requests: extensions, time limits, failures, futures.

use std::time::{Duration, Instant};

use token_refresh_conformance::server::{
    AuthorizationServer, Gate, Policy, ResourcePolicy, ResourceServer, Step,
};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Cause, Error, Refusal, Replay, ResponseFuture, Rules, SendWith as _, driver,
    reqwest::{self, Client},
};

use crate::support::{World, session};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

#[test]
fn futures_can_be_sent_and_kept() {
    fn sent_and_kept<T: Send + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    sent_and_kept::<ResponseFuture>();
    sent_and_kept::<Error>();
    shared::<AuthClient>();
}

/// Two users, one client.
#[tokio::test]
async fn a_request_can_bring_another_session() {
    let world = World::expired();
    let other = session(&world.auth);
    let request = || world.client.get(world.api.url("/a"));

    assert_eq!(request().extension(other.clone()).send().await.unwrap().status(), 200);
    assert_eq!(request().send().await.unwrap().status(), 200);
    let tags = world.api.log().into_iter().map(|seen| seen.carried.map(|tag| (tag.family, tag.generation)));
    assert_eq!(tags.collect::<Vec<_>>(), [Some((2, 0)), Some((2, 1)), Some((1, 0)), Some((1, 1))]);
    assert_eq!(other.current().unwrap().id().generation, world.session().current().unwrap().id().generation);
}

/// reqwest's builders have no extensions, but its requests do.
#[tokio::test]
async fn rply_04_a_request_with_extensions_can_be_made_of_an_http_request() {
    let world = World::expired();
    let request = http::Request::get(world.api.url("/a")).extension(Replay::Never).body("").unwrap();
    assert_eq!(world.client.execute(request.try_into().unwrap()).await.unwrap().status(), 401);
    assert_eq!((world.api.log().len(), world.refreshes()), (1, 1));
}

/// The last one of its type.
#[tokio::test]
async fn an_extension_replaces_an_earlier_one() {
    let world = World::expired();
    let request = world.client.get(world.api.url("/a")).extension(Replay::Never).extension(Replay::Always);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// The builder's own client would not even get through.
#[tokio::test]
async fn send_with_sends_with_the_client_it_is_given() {
    let world = World::expired();
    let nowhere =
        Client::builder().proxy(reqwest::Proxy::all("http://127.0.0.1:1").unwrap()).build().unwrap();
    let request = nowhere.get(world.api.url("/a")).header("x-a", "b");
    assert_eq!(request.send_with(&world.client).await.unwrap().status(), 200);
    assert!(world.api.log().iter().all(|seen| seen.headers.get("x-a") == Some("b")));
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_an_error_like_any_other() {
    let world = World::expired();
    let errors = [
        world.client.get("no address").send().await,
        world.client.get(world.api.url("/a")).with(|request| request.header("no name", "")).send().await,
        Client::new().get("no address").send_with(&world.client).await,
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(matches!(&error, Error::Http(error) if error.is_builder()), "{error:?}");
        assert_eq!(error.cause(), None);
    }
    assert!(world.api.log().is_empty());
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let world = World::expired();
    world.session().sign_out();
    let error = world.client.get(world.api.url("/a")).send().await.unwrap_err();
    assert!(matches!(error, Error::NoToken(_)));
    assert_eq!(error.cause(), Some(Cause::NeedsSignIn));
    assert!(error.into_response().is_none());
    assert!(world.api.log().is_empty());
}

#[tokio::test]
async fn rply_08_the_error_holds_the_refusal() {
    let world = World::expired();
    world.auth.revoke_family(1);
    let error = world.client.get(world.api.url("/a")).send().await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(error.cause(), Some(Cause::NeedsSignIn));
    assert!(std::error::Error::source(&error).unwrap().is::<driver::Error>());
    let refusal = error.into_response().unwrap();
    assert_eq!(refusal.status(), 401);
    assert!(refusal.headers().contains_key("www-authenticate"));
    assert_eq!(refusal.text().await.unwrap(), r#"{"message":"unauthorized"}"#);
}

/// The time limit of a request is for all of it; reqwest would begin anew with each attempt.
#[tokio::test]
async fn rply_06_nothing_is_repeated_after_the_time_limit_of_the_request() {
    let world = World::expired();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);
    let start = Instant::now();
    let request = world.client.get(world.api.url("/a")).with(|request| request.timeout(SHORT));
    let error = request.send().await.unwrap_err();

    assert!(matches!(error, Error::Refused(Refusal { reason: driver::Error::TimedOut, .. })), "{error:?}");
    assert!((SHORT..LONG).contains(&start.elapsed()));
    assert_eq!(world.api.log().len(), 1);
    gate.open();
    world.session().settle_async(LONG).await.unwrap();
    assert_eq!(world.client.get(world.api.url("/a")).send().await.unwrap().status(), 200);
    assert_eq!(world.api.log().len(), 2, "the refresh went on without it");
}

/// What is left of the limit is the limit of the next hop.
#[tokio::test]
async fn the_time_limit_of_a_request_covers_redirects() {
    let world = World::expired();
    world.refresh().await;
    let gate = Gate::new();
    let redirect = token_refresh_conformance::server::Response::new(302).header("Location", "/b");
    world.api.script([Step::new().answer(redirect), Step::new().hold_before(&gate)]);
    let request = world.client.get(world.api.url("/a")).with(|request| request.timeout(SHORT));
    let error = request.send().await.unwrap_err();
    assert!(matches!(&error, Error::Http(error) if error.is_timeout()), "{error:?}");
}

/// The client's own settings are kept: this one has a default field.
#[tokio::test]
async fn the_builder_is_used() {
    let auth = AuthorizationServer::start(Policy::default()).unwrap();
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url("")).unwrap());
    let builder = Client::builder().user_agent("custom");
    let client = AuthClient::new(builder, session(&auth), rules).unwrap();
    assert_eq!(client.get(api.url("/a")).send().await.unwrap().status(), 200);
    assert!(api.log().iter().all(|seen| seen.headers.get("user-agent") == Some("custom")));
}
