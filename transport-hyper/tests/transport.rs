//! What [`HyperTransport`] and [`ServiceTransport`] say about token requests that did not get an answer.
#![allow(clippy::unwrap_used)]

use std::{
    iter,
    net::SocketAddr,
    sync::{Arc, mpsc::channel},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::TokioExecutor,
};
use token_refresh_conformance::server::{
    AuthorizationServer, ClosedPort, Cut, Policy, Response as Scripted, Step,
};
use token_refresh_driver::{AsyncTransport, Attempt, Clock as _, ManualClock, Timestamp, TransportError};
use token_refresh_hyper::{HyperTransport, ServiceTransport};

const LIMIT: Duration = Duration::from_secs(20);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_800_000_000_000))
}

fn attempt() -> Attempt {
    let clock = clock();
    let send_by = clock.now().after(LIMIT);
    Attempt::new(Arc::new(clock), send_by, LIMIT)
}

fn late() -> Attempt {
    let clock = clock();
    let send_by = clock.now();
    clock.advance(LIMIT);
    Attempt::new(Arc::new(clock), send_by, LIMIT)
}

fn request(server: SocketAddr) -> Request<Bytes> {
    let request = Request::post(format!("http://{server}/token"));
    request.body(Bytes::from_static(b"grant_type=refresh_token&refresh_token=none")).unwrap()
}

fn server() -> AuthorizationServer {
    AuthorizationServer::start(Policy::default()).unwrap()
}

fn connector() -> HyperTransport<HttpConnector> {
    HyperTransport::new(HttpConnector::new())
}

fn service() -> impl AsyncTransport {
    let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
    let transport: ServiceTransport<_, Full<Bytes>, _> = ServiceTransport::new(client);
    transport.not_sent_if(ClientError::is_connect)
}

async fn nobody_listens(transport: impl AsyncTransport) {
    let port = ClosedPort::new().unwrap();
    let sent = transport.send(request(port.addr().unwrap()), &attempt()).await;
    assert_eq!(sent.err(), Some(TransportError::NotSent));
}

#[tokio::test]
async fn retry_01_nobody_listens_is_not_sent() {
    nobody_listens(connector()).await;
    nobody_listens(service()).await;
}

/// A session learns only that nothing was sent; whoever runs the program wants to know why.
#[tokio::test]
async fn the_reason_for_no_answer_is_told() {
    let (port, server) = (ClosedPort::new().unwrap(), server());
    server.script([Step::new().cut(Cut::AfterHead), Step::new().cut(Cut::InBody(10))]);
    for (address, told) in [
        (port.addr().unwrap(), "Connection refused"),
        (server.addr(), "connection closed before message completed"),
        (server.addr(), "end of file before message length reached"),
    ] {
        let (tell, reasons) = channel();
        let transport = connector().on_error(move |error| {
            let errors = iter::successors(Some(error), |error| error.source());
            tell.send(errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")).unwrap();
        });
        assert!(transport.send(request(address), &attempt()).await.is_err());
        drop(transport);
        let reasons: Vec<String> = reasons.iter().collect();
        assert!(matches!(&reasons[..], [reason] if reason.contains(told)), "{told}: {reasons:?}");
    }
}

async fn too_late(transport: impl AsyncTransport) {
    let server = server();
    let sent = transport.send(request(server.addr()), &late()).await;
    assert_eq!(sent.err(), Some(TransportError::NotSent));
    assert!(server.log().is_empty());
}

#[tokio::test]
async fn mp_03_nothing_is_sent_when_it_is_too_late() {
    too_late(connector()).await;
    too_late(service()).await;
}

async fn broken(transport: impl AsyncTransport) {
    for cut in [Cut::AfterHead, Cut::BeforeProcessing, Cut::AfterProcessing, Cut::InBody(10)] {
        let server = server();
        server.script([Step::new().cut(cut)]);
        let attempt = attempt();
        let sent = transport.send(request(server.addr()), &attempt).await;
        assert_eq!(sent.err(), Some(TransportError::Ambiguous), "{cut:?}");
        assert!(attempt.sent_at().is_some());
        assert_eq!(server.log().len(), 1, "sent once: {cut:?}");
    }
}

#[tokio::test]
async fn retry_01_what_breaks_after_the_first_byte_is_ambiguous() {
    broken(connector()).await;
    broken(service()).await;
}

async fn once(transport: impl AsyncTransport) {
    let (server, attempt) = (server(), attempt());
    assert!(transport.send(request(server.addr()), &attempt).await.is_ok());
    let again = transport.send(request(server.addr()), &attempt).await;
    assert_eq!(again.err(), Some(TransportError::Ambiguous));
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn xreq_06_an_attempt_sends_once() {
    once(connector()).await;
    once(service()).await;
}

async fn any_status(transport: impl AsyncTransport) -> Vec<Response<Bytes>> {
    let mut answers = Vec::new();
    for status in [200, 302, 400, 401, 503] {
        let server = server();
        server.script([
            Step::new().answer(Scripted::new(status).header("Location", "/token").body("as it is"))
        ]);
        let answer = transport.send(request(server.addr()), &attempt()).await.unwrap();
        assert_eq!((answer.status().as_u16(), &**answer.body()), (status, &b"as it is"[..]));
        assert_eq!(server.log().len(), 1);
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn xreq_06_any_answer_is_brought_back() {
    any_status(connector()).await;
    any_status(service()).await;
}

async fn long_answer(transport: impl AsyncTransport) {
    let server = server();
    server.script([Step::new().answer(Scripted::new(200).body(vec![b'x'; Attempt::MAX_BODY + 500]))]);
    let answer = transport.send(request(server.addr()), &attempt()).await.unwrap();
    assert_eq!(answer.body().len(), Attempt::MAX_BODY + 1);
}

#[tokio::test]
async fn sec_06_no_more_is_read_of_a_long_answer_than_shows_that_it_is_too_long() {
    long_answer(connector()).await;
    long_answer(service()).await;
}

/// A connector without TLS has no way to an `https` endpoint.
#[tokio::test]
async fn sec_01_https_without_tls_is_not_sent() {
    let server = server();
    let request = Request::post(format!("https://{}/token", server.addr())).body(Bytes::new()).unwrap();
    assert_eq!(connector().send(request, &attempt()).await.err(), Some(TransportError::NotSent));
    assert!(server.log().is_empty());
}
