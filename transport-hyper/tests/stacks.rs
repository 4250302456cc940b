//! The contract of tower services, and where the layer goes among others.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response, header};
use http_body_util::{Empty, Full};
use hyper::client::conn::http1;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use support::{Content, SOON, World};
use token_refresh_conformance::server::{Gate, ResourcePolicy, ResourceServer, Response as Scripted, Step};
use token_refresh_hyper::{
    AuthLayer, Cause, Error, Grant, IfEmpty, NoNewerToken, ServiceTransport, Session, TokioRuntime,
    origin_form,
};
use tokio::net::TcpStream;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, retry::Policy};
use tower_http::follow_redirect::{
    FollowRedirectLayer,
    policy::{Action, redirect_fn},
};

const LIMIT: Duration = Duration::from_secs(20);

fn get(url: String) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).unwrap()
}

/// Answers 401 once and then 200, and insists on the contract: ready before each call, of every clone.
struct Strict {
    calls: Arc<AtomicUsize>,
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), ready: false }
    }
}

impl Service<Request<Empty<Bytes>>> for Strict {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        let status = if self.calls.fetch_add(1, Ordering::SeqCst) == 0 { 401 } else { 200 };
        ready(Ok(Response::builder().status(status).body(Empty::new()).unwrap()))
    }
}

#[tokio::test]
async fn the_service_is_made_ready_before_each_call() {
    let world = World::expired();
    let calls = Arc::new(AtomicUsize::new(0));
    let strict = Strict { calls: Arc::clone(&calls), ready: false };
    let mut service = AuthLayer::new(world.session.clone(), world.rules.clone()).layer(strict);
    for expected in [2, 3] {
        let response = service.ready().await.unwrap().call(get(world.api.url("/a"))).await.unwrap();
        assert_eq!((response.status().as_u16(), calls.load(Ordering::SeqCst)), (200, expected));
    }
    assert_eq!(world.token_requests(), 1);
}

/// The one place below is free while requests wait for a token: the refresh itself needs it here.
#[tokio::test]
async fn waiting_for_a_token_holds_no_place_below() {
    let world = World::expired();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let one_place = ServiceBuilder::new().buffer(1).concurrency_limit(1).service(client);
    let session = Session::builder()
        .asynchronous(
            ServiceTransport::new(one_place.clone()),
            support::profile(&world.auth.url("/token")),
            TokioRuntime::current().unwrap(),
        )
        .unwrap();
    // Known to be over, so that the refresh comes first.
    let issued = world.auth.current(1).unwrap();
    let grant = Grant::new(issued.access_token).unwrap();
    session.sign_in(grant.with_refresh_token(issued.refresh_token).unwrap().with_lifetime(Duration::ZERO));

    let service = AuthLayer::new(session, world.rules.clone()).layer(one_place);
    let sending = (0..10).map(|_| {
        let request = Request::get(world.api.url("/a")).body(Full::default()).unwrap();
        service.clone().oneshot(request)
    });
    let answers = tokio::time::timeout(SOON, futures::future::join_all(sending)).await.expect("a deadlock");
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 200));
    assert_eq!(world.generations("/a"), vec![Some(1); 10]);
}

/// Repeats what failed with 503.
#[derive(Clone)]
struct On503;

impl<R, E> Policy<Request<Full<Bytes>>, Response<R>, E> for On503 {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Ready<()>> {
        result.as_ref().is_ok_and(|answer| answer.status() == 503).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

/// Each layer repeats what is its own business, whichever is outside.
#[tokio::test]
async fn a_retry_layer_goes_inside_or_outside() {
    for inside in [true, false] {
        let world = World::expired();
        world.api.script([Step::new(), Step::new().answer(Scripted::new(503))]);
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
        let request = Request::get(world.api.url("/a")).body(Full::default()).unwrap();
        let status = if inside {
            let service = ServiceBuilder::new().layer(auth).retry(On503).service(client);
            service.oneshot(request).await.unwrap().status()
        } else {
            let service = ServiceBuilder::new().retry(On503).layer(auth).service(client);
            service.oneshot(request).await.unwrap().status()
        };
        assert_eq!(status, 200);
        assert_eq!(world.generations("/a"), [Some(0), Some(1), Some(1)]);
        assert_eq!(world.token_requests(), 1);
    }
}

/// CORE-14: the time limit ends this caller's wait, and the refresh goes on.
#[tokio::test]
async fn core_14_a_timeout_outside_ends_the_wait_and_not_the_refresh() {
    let world = World::expired();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_after(&gate)]);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
    let hurried =
        ServiceBuilder::new().timeout(Duration::from_millis(100)).layer(auth.clone()).service(client.clone());
    let error = hurried.oneshot(get(world.api.url("/a"))).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
    gate.open();
    world.session.settle_async(SOON).await.unwrap();
    let response = auth.layer(client).oneshot(get(world.api.url("/b"))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.generations("/b"), [Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// Token requests that go through a stack with the layer in it get no token and wait for none, even where the token
/// could go.
#[tokio::test]
async fn core_15_a_token_request_is_none_of_the_layers_business() {
    let world = World::expired();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let to_auth = support::rules(&world.auth.url(""));
    let stack = AuthLayer::new(world.session.clone(), to_auth).layer(client.clone());
    let session = Session::builder()
        .asynchronous(
            ServiceTransport::new(stack),
            support::profile(&world.auth.url("/token")),
            TokioRuntime::current().unwrap(),
        )
        .unwrap();
    let issued = world.auth.current(1).unwrap();
    session
        .sign_in(Grant::new(issued.access_token).unwrap().with_refresh_token(issued.refresh_token).unwrap());
    let service = AuthLayer::new(session, world.rules.clone()).layer(client);
    let request = Request::get(world.api.url("/a")).body(Full::default()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    assert_eq!(world.token_requests(), 1);
    assert!(world.auth.log().iter().all(|seen| seen.headers.get("authorization").is_none()));
}

#[tokio::test]
async fn a_request_can_choose_another_session() {
    let (world, other) = (World::expired(), World::expired());
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let service = AuthLayer::new(world.session.clone(), other.rules.clone()).layer(client);
    let mut request = get(other.api.url("/a"));
    request.extensions_mut().insert(other.session.clone());
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    assert_eq!((world.token_requests(), other.token_requests()), (0, 1));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let world = World::expired();
    world.session.sign_out();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let service = AuthLayer::new(world.session.clone(), world.rules.clone()).layer(client);
    let error = service.oneshot(get(world.api.url("/a"))).await.unwrap_err();
    assert!(matches!(error, Error::NoToken(_)));
    assert!(world.api.log().is_empty());
}

#[tokio::test]
async fn rply_08_a_refusal_says_why_there_is_no_newer_token() {
    let world = World::expired();
    world.auth.revoke_family(1);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let service = AuthLayer::new(world.session.clone(), world.rules.clone()).layer(client);
    let response = service.oneshot(get(world.api.url("/a"))).await.unwrap();
    assert_eq!(response.status(), 401);
    let NoNewerToken(reason) = response.extensions().get().unwrap();
    assert_eq!(reason.cause(), Cause::NeedsSignIn);
    assert_eq!(support::text(response).await, r#"{"message":"unauthorized"}"#);
}

#[tokio::test]
async fn rply_03_with_if_empty_content_of_any_kind_is_sent_and_only_none_is_repeated() {
    let world = World::expired();
    let client = Client::builder(TokioExecutor::new()).build_http::<Content>();
    let service =
        AuthLayer::new(world.session.clone(), world.rules.clone()).clone_body(IfEmpty).layer(client);
    let request = Request::put(world.api.url("/a")).body(Content::stream([vec![b'x'; 10]])).unwrap();
    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 401);
    let expired = world.auth.current(1).unwrap().access_token;
    world.auth.expire(&expired);
    let request = Request::put(world.api.url("/b")).body(Content::default()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    assert_eq!((world.generations("/a"), world.generations("/b")), (vec![Some(0)], vec![Some(1), Some(2)]));
}

/// Why the documentation says "outside": inside, the foreign server decides which requests get the token. It never sees
/// the token itself, though, whichever way round.
#[tokio::test]
async fn sec_03_inside_a_redirect_layer_a_foreign_server_can_steer_the_token() {
    for (outside, steered) in [(true, None), (false, Some(0))] {
        let world = World::expired();
        let elsewhere = ResourceServer::start("else", &world.auth, ResourcePolicy::default()).unwrap();
        let to = |url: String| Step::new().answer(Scripted::new(307).header("Location", &url));
        world.api.script([to(elsewhere.url("/b")).on("/a")]);
        elsewhere.script([to(world.api.url("/steered"))]);
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
        let guard = auth.guard();
        let request = get(world.api.url("/a"));
        if outside {
            let stack = ServiceBuilder::new().layer(auth).layer(FollowRedirectLayer::new()).layer(guard);
            stack.service(client).oneshot(request).await.unwrap();
        } else {
            let stack = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(auth);
            stack.service(client).oneshot(request).await.unwrap();
        }
        assert_eq!(world.generations("/steered")[0], steered);
        assert!(elsewhere.log().iter().all(|seen| seen.carried.is_none()));
    }
}

/// The POST was done; only the reading of its outcome was refused.
#[tokio::test]
async fn rply_04_a_post_that_was_redirected_to_its_outcome_is_not_sent_again() {
    let world = World::expired();
    world.api.script([Step::new()
        .on("/order")
        .answer(Scripted::new(303).header("Location", &world.api.url("/outcome")))]);
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
    let guard = auth.guard();
    let stack =
        ServiceBuilder::new().layer(auth).layer(FollowRedirectLayer::new()).layer(guard).service(client);
    let request = Request::post(world.api.url("/order")).body(Full::from("one of these")).unwrap();
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 401);
    assert_eq!((world.generations("/order"), world.generations("/outcome")), (vec![Some(0)], vec![Some(0)]));
    assert_eq!(world.token_requests(), 1);
}

/// The guard also stands under a redirect layer that keeps all credentials.
#[tokio::test]
async fn sec_03_the_guard_takes_the_token_off_for_good() {
    let world = World::expired();
    let elsewhere = ResourceServer::start("else", &world.auth, ResourcePolicy::default()).unwrap();
    let to = |url: String| Step::new().answer(Scripted::new(307).header("Location", &url));
    world.api.script([to(elsewhere.url("/b")).on("/a")]);
    elsewhere.script([to(world.api.url("/steered"))]);
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
    let guard = auth.guard();
    let careless = redirect_fn(|_: &tower_http::follow_redirect::policy::Attempt<'_>| Ok(Action::Follow));
    let stack = ServiceBuilder::new()
        .layer(auth)
        .layer(FollowRedirectLayer::with_policy(careless))
        .layer(guard)
        .service(client);
    assert_eq!(stack.oneshot(get(world.api.url("/a"))).await.unwrap().status(), 401);
    assert!(elsewhere.log().iter().all(|seen| seen.headers.get("authorization").is_none()));
    assert_eq!(world.generations("/steered"), [None]);
    assert_eq!(world.token_requests(), 0);
}

/// One connection serves both attempts.
#[tokio::test]
async fn a_single_connection_sends_the_repetition_too() {
    let world = World::expired();
    let stream = TcpStream::connect(world.api.addr()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let auth = AuthLayer::new(world.session.clone(), world.rules.clone());
    let answer = auth.send_with(get(world.api.url("/a?b=c")), async |request| {
        sender.ready().await?;
        sender.send_request(origin_form(request)).await
    });
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(world.generations("/a?b=c"), [Some(0), Some(1)]);
    let log = world.api.log();
    assert_eq!(log[0].headers.get(header::HOST.as_str()), Some(&*world.api.addr().to_string()));
}

/// A request to elsewhere passes while a refresh is under way.
#[tokio::test]
async fn what_carries_no_token_waits_for_none() {
    let world = World::expired();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);
    let refused = world.session.current().unwrap().id();
    assert!(world.session.reject_async(refused).within(LIMIT).now_or_never().is_none());
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let service = AuthLayer::new(world.session.clone(), support::rules("http://127.0.0.1:9")).layer(client);
    assert_eq!(service.oneshot(get(world.api.url("/a"))).await.unwrap().status(), 401);
    gate.open();
    world.session.settle_async(SOON).await.unwrap();
}

/// A service that drops nothing on the floor when its caller is gone.
#[tokio::test]
async fn core_14_dropping_the_future_drops_the_request() {
    struct Hangs(Arc<AtomicBool>);
    impl Drop for Hangs {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let world = World::expired();
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let hangs = tower::service_fn(move |_: Request<Empty<Bytes>>| {
        let hangs = Hangs(Arc::clone(&flag));
        async move {
            let _hangs = hangs;
            pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
        }
    });
    let service = AuthLayer::new(world.session.clone(), world.rules.clone()).layer(hangs);
    let mut sending = Box::pin(service.oneshot(get(world.api.url("/a"))));
    assert!((&mut sending).now_or_never().is_none());
    assert!(!dropped.load(Ordering::SeqCst));
    drop(sending);
    assert!(dropped.load(Ordering::SeqCst));
}
