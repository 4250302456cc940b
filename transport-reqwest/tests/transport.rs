//! What [`ReqwestTransport`] says about requests that did not get an answer, and what it does not do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use token_refresh_conformance::server::{
    AuthorizationServer, BlackHole, ClosedPort, Cut, Gate, Policy, Response, Step,
};
use token_refresh_reqwest::{
    ReqwestTransport, SessionError,
    driver::{AsyncTransport as _, Attempt, Clock, ManualClock, SystemClock, Timestamp, TransportError},
    reqwest::{Client, Proxy, redirect},
};
use tokio::task::spawn_blocking;

const LIMIT: Duration = Duration::from_secs(20);

fn server() -> AuthorizationServer {
    AuthorizationServer::start(Policy::default()).unwrap()
}

fn attempt() -> Attempt {
    let clock = SystemClock::new();
    let send_by = clock.now().after(LIMIT);
    Attempt::new(Arc::new(clock), send_by, LIMIT)
}

fn request(url: String) -> Request<Bytes> {
    let request = Request::post(url).header("content-type", "application/x-www-form-urlencoded");
    request.body(Bytes::from_static(b"grant_type=refresh_token&refresh_token=rt")).unwrap()
}

/// The status of the answer.
async fn send(addr: SocketAddr, attempt: &Attempt) -> Result<u16, TransportError> {
    let url = format!("http://{addr}/token");
    let response = ReqwestTransport::new().unwrap().send(request(url), attempt).await?;
    Ok(response.status().as_u16())
}

#[tokio::test]
async fn retry_01_nobody_listens_is_not_sent() {
    let port = ClosedPort::new().unwrap();
    let attempt = attempt();
    assert_eq!(send(port.addr().unwrap(), &attempt).await, Err(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
}

#[tokio::test]
async fn retry_01_a_name_that_does_not_exist_is_not_sent() {
    let attempt = attempt();
    let request = request("http://not..a.name/token".into());
    let sent = ReqwestTransport::new().unwrap().send(request, &attempt).await;
    assert_eq!(sent.err(), Some(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
}

/// The server does not speak TLS, or reqwest was built without it: either way there is no connection to write to.
#[tokio::test]
async fn retry_01_without_tls_an_https_request_is_not_sent() {
    let auth = server();
    let request = request(format!("https://{}/token", auth.addr()));
    let sent = ReqwestTransport::new().unwrap().send(request, &attempt()).await;
    assert_eq!(sent.err(), Some(TransportError::NotSent));
    assert_eq!(auth.token_requests().len(), 0);
}

#[tokio::test]
async fn retry_01_whatever_breaks_after_the_first_byte_is_ambiguous() {
    for cut in
        [Cut::BeforeReading, Cut::AfterHead, Cut::BeforeProcessing, Cut::AfterProcessing, Cut::InBody(10)]
    {
        let auth = server();
        auth.script([Step::new().cut(cut)]);
        let attempt = attempt();
        assert_eq!(send(auth.addr(), &attempt).await, Err(TransportError::Ambiguous), "{cut:?}");
        assert!(attempt.sent_at().is_some());
        assert_eq!(auth.log().len(), 1, "sent once: {cut:?}");
    }
}

/// The driver keeps the time limit by dropping the future, which must stop the request.
#[tokio::test]
async fn retry_01_a_dropped_attempt_is_over() {
    let hole = BlackHole::start().unwrap();
    let attempt = attempt();
    let sending = send(hole.addr(), &attempt);
    let waited = tokio::time::timeout(Duration::from_millis(100), sending).await;
    assert!(waited.is_err() && attempt.sent_at().is_some());
}

/// The connection stands, but until then it has become too late: nothing is written.
#[tokio::test]
async fn mp_03_the_clock_is_looked_at_between_connecting_and_writing() {
    let auth = server();
    let attempt = Attempt::new(
        Arc::new(ManualClock::new(Timestamp::from_millis(2_001))),
        Timestamp::from_millis(2_000),
        LIMIT,
    );
    assert_eq!(send(auth.addr(), &attempt).await, Err(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
    assert!(auth.log().is_empty());
}

/// Once, and not before there is a connection.
#[tokio::test]
async fn mp_03_an_attempt_begins_when_it_is_connected() {
    #[derive(Default)]
    struct Looks(AtomicU32);
    impl Clock for Looks {
        fn now(&self) -> Timestamp {
            self.0.fetch_add(1, SeqCst);
            Timestamp::from_millis(1_000)
        }
    }

    let (auth, closed) = (server(), ClosedPort::new().unwrap());
    for (addr, looks) in [(closed.addr().unwrap(), 0), (auth.addr(), 1)] {
        let clock = Arc::new(Looks::default());
        let attempt = Attempt::new(Arc::<Looks>::clone(&clock), Timestamp::from_millis(2_000), LIMIT);
        let _ = send(addr, &attempt).await;
        assert_eq!(clock.0.load(SeqCst), looks);
    }
}

/// The lifetime of the new token counts from the first byte, not from the call.
#[tokio::test]
async fn time_01_sent_at_is_the_first_byte() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000));
    let auth = server();
    let gate = Gate::new();
    auth.script([Step::new().hold_before(&gate)]);
    let attempt = Attempt::new(Arc::new(clock.clone()), Timestamp::from_millis(9_000), LIMIT);
    let sending = send(auth.addr(), &attempt);
    let opening = spawn_blocking(move || {
        assert!(gate.wait_arrived(1, LIMIT));
        clock.advance(Duration::from_secs(5));
        gate.open();
    });
    let (sent, opened) = tokio::join!(sending, opening);
    assert!(sent.is_ok() && opened.is_ok());
    assert_eq!(attempt.sent_at(), Some(Timestamp::from_millis(1_000)));
}

/// Two attempts of one transport at the same time, as sessions that share it make them.
#[tokio::test]
async fn attempts_do_not_get_mixed_up() {
    let (auth, closed) = (server(), ClosedPort::new().unwrap());
    let transport = ReqwestTransport::new().unwrap();
    let (sent, unsent) = (attempt(), attempt());
    let url = format!("http://{}/token", closed.addr().unwrap());
    let (first, second) = tokio::join!(
        transport.send(request(auth.url("/token")), &sent),
        transport.send(request(url), &unsent),
    );
    assert!(first.is_ok() && sent.sent_at().is_some());
    assert_eq!((second.err(), unsent.sent_at()), (Some(TransportError::NotSent), None));
}

#[tokio::test]
async fn xreq_06_a_redirect_is_an_answer() {
    let builder = || Client::builder().no_proxy().redirect(redirect::Policy::limited(3));
    for status in [301, 302, 303, 307, 308] {
        let (auth, elsewhere) = (server(), server());
        let response = Response::new(status).header("Location", &elsewhere.url("/token"));
        auth.script([Step::new().answer(response)]);
        let transport = ReqwestTransport::with_builder(builder()).unwrap();
        let response = transport.send(request(auth.url("/token")), &attempt()).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!((auth.log().len(), elsewhere.log().len()), (1, 0));
    }
}

#[tokio::test]
async fn xrsp_10_any_status_is_an_answer() {
    let auth = server();
    for status in [200, 400, 401, 429, 500, 503] {
        auth.script([Step::new().answer(Response::new(status))]);
        assert_eq!(send(auth.addr(), &attempt()).await, Ok(status));
    }
}

#[tokio::test]
async fn sec_06_content_is_bounded() {
    let auth = server();
    let transport = ReqwestTransport::new().unwrap();
    let most = Attempt::MAX_BODY;
    for (length, read) in [(0, 0), (most, most), (most + 1, most + 1), (2 * most, most + 1)] {
        auth.script([Step::new().answer(Response::new(200).header("x-a", "b").body(vec![b' '; length]))]);
        let response = transport.send(request(auth.url("/token")), &attempt()).await.unwrap();
        assert_eq!((response.body().len(), response.headers()["x-a"].as_bytes()), (read, &b"b"[..]));
    }
}

/// The server keeps the connection and then drops it without a word: a second request on it would be ambiguous.
#[tokio::test]
async fn retry_01_no_connection_is_used_twice() {
    let auth = server();
    let builder = Client::builder().no_proxy().pool_max_idle_per_host(9);
    let transport = ReqwestTransport::with_builder(builder).unwrap();
    auth.script([Step::new().cut(Cut::AfterAnswer)]);
    for _ in 0..3 {
        let attempt = attempt();
        assert!(transport.send(request(auth.url("/token")), &attempt).await.is_ok());
        assert!(attempt.sent_at().is_some(), "it went through the gate");
    }
}

/// What is written to a proxy is written through the gate.
#[tokio::test]
async fn retry_01_a_proxy_that_is_not_there_is_not_sent() {
    let (auth, closed) = (server(), ClosedPort::new().unwrap());
    let proxies = [(connect_proxy(), Ok(400)), (closed.addr().unwrap(), Err(TransportError::NotSent))];
    for (addr, result) in proxies {
        let proxy = Proxy::all(format!("http://{addr}")).unwrap();
        let transport = ReqwestTransport::with_builder(Client::builder().proxy(proxy)).unwrap();
        let response = transport.send(request(auth.url("/token")), &attempt()).await;
        assert_eq!(response.map(|response| response.status().as_u16()), result);
    }
    assert_eq!(auth.log().len(), 1);
}

/// Runs this test again in a process whose environment names a proxy that does not exist.
#[tokio::test]
async fn sec_01_the_environment_chooses_no_proxy() {
    const MARK: &str = "TOKEN_REFRESH_TEST_TARGET";
    if let Ok(target) = std::env::var(MARK) {
        assert!(Client::new().get(&target).send().await.is_err(), "the environment works");
        assert!(ReqwestTransport::new().unwrap().send(request(target), &attempt()).await.is_ok());
        return;
    }
    let (auth, closed) = (server(), ClosedPort::new().unwrap());
    let proxy = format!("http://{}", closed.addr().unwrap());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sec_01_the_environment_chooses_no_proxy"])
        .env(MARK, auth.url("/token"))
        .envs([("ALL_PROXY", &proxy), ("HTTP_PROXY", &proxy), ("http_proxy", &proxy)])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(auth.log().len(), 1);
}

#[test]
fn a_session_needs_a_runtime() {
    let endpoint = token_refresh_reqwest::Endpoint::https("https://auth.example.com/refresh").unwrap();
    let profile =
        token_refresh_reqwest::JsonProfile::new(token_refresh_reqwest::wire::JsonEndpoint::new(), endpoint);
    let error = token_refresh_reqwest::session(profile).unwrap_err();
    assert!(matches!(error, SessionError::NoRuntime));
}

/// A proxy for one connection, in plain text: passes on what it is sent.
fn connect_proxy() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        let (method, rest) = first.split_once(" http://").unwrap();
        let (target, path) = rest.split_once('/').unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        write!(server, "{method} /{path}").unwrap();
        let back = (server.try_clone().unwrap(), client);
        thread::spawn(move || std::io::copy(&mut &back.0, &mut &back.1));
        let _ = std::io::copy(&mut reader, &mut &server);
    });
    addr
}
