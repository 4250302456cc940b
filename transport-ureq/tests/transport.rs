//! What [`UreqTransport`] says about requests that did not get an answer, and what it does not do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use token_refresh_conformance::server::{
    AuthorizationServer, BlackHole, ClosedPort, Cut, Gate, Policy, Response, Step,
};
use token_refresh_ureq::{
    AllowedOrigins, AuthMiddleware, Rules, UreqTransport,
    driver::{Attempt, Clock, ManualClock, SystemClock, Timestamp, Transport, TransportError},
};
use ureq::{
    Agent, Proxy,
    http::{self, Request},
};

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);

#[test]
fn retry_01_nobody_listens_is_not_sent() {
    let port = ClosedPort::new().unwrap();
    let attempt = attempt(LIMIT);
    assert_eq!(send(port.addr().unwrap(), &attempt), Err(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
}

#[test]
fn retry_01_a_name_that_does_not_exist_is_not_sent() {
    // Not even a question to a name server: an empty label cannot be asked for.
    let attempt = attempt(LIMIT);
    let request = request("http://not..a.name/token".into());
    assert_eq!(UreqTransport::new().send(request, &attempt).err(), Some(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
}

#[test]
fn retry_01_what_fails_before_tls_stands_is_not_sent() {
    let auth = server();
    let attempt = attempt(LIMIT);
    let request = request(format!("https://{}/token", auth.addr()));
    assert_eq!(UreqTransport::new().send(request, &attempt).err(), Some(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
    assert_eq!(auth.token_requests(), []);
}

#[test]
fn retry_01_whatever_breaks_after_the_first_byte_is_ambiguous() {
    for cut in
        [Cut::BeforeReading, Cut::AfterHead, Cut::BeforeProcessing, Cut::AfterProcessing, Cut::InBody(10)]
    {
        let auth = server();
        auth.script([Step::new().cut(cut)]);
        let attempt = attempt(LIMIT);
        assert_eq!(send(auth.addr(), &attempt), Err(TransportError::Ambiguous), "{cut:?}");
        assert!(attempt.sent_at().is_some());
        assert_eq!(auth.log().len(), 1, "sent once: {cut:?}");
    }
}

#[test]
fn retry_01_silence_is_ambiguous_when_the_limit_is_over() {
    let hole = BlackHole::start().unwrap();
    let start = Instant::now();
    assert_eq!(send(hole.addr(), &attempt(SHORT)), Err(TransportError::Ambiguous));
    assert!((SHORT..LIMIT).contains(&start.elapsed()));
}

#[test]
fn retry_01_the_limit_covers_all_of_the_answer() {
    let auth = server();
    // Each piece comes in time, but all together do not.
    auth.script([Step::new()
        .answer(Response::new(200).body(vec![b' '; 4000]))
        .slow(10, Duration::from_millis(50))]);
    let start = Instant::now();
    assert_eq!(send(auth.addr(), &attempt(SHORT)), Err(TransportError::Ambiguous));
    assert!((SHORT..LIMIT).contains(&start.elapsed()));
}

/// The connection stands, but until then it has become too late: nothing is written.
#[test]
fn mp_03_the_clock_is_looked_at_between_connecting_and_writing() {
    let auth = server();
    let attempt = Attempt::new(Arc::new(LateAfter::looks(2)), Timestamp::from_millis(2_000), LIMIT);
    assert_eq!(send(auth.addr(), &attempt), Err(TransportError::NotSent));
    assert_eq!(attempt.sent_at(), None);
    assert!(auth.log().is_empty());
}

#[test]
fn mp_03_a_late_attempt_does_not_even_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let attempt = Attempt::new(Arc::new(LateAfter::looks(0)), Timestamp::from_millis(2_000), LIMIT);
    assert_eq!(send(listener.local_addr().unwrap(), &attempt), Err(TransportError::NotSent));
    assert!(listener.accept().is_err());
}

/// The lifetime of the new token counts from the first byte, not from the call.
#[test]
fn time_01_sent_at_is_the_first_byte() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000));
    let auth = server();
    let gate = Gate::new();
    auth.script([Step::new().hold_before(&gate)]);
    let attempt = Attempt::new(Arc::new(clock.clone()), Timestamp::from_millis(9_000), LIMIT);
    thread::scope(|scope| {
        let sender = scope.spawn(|| send(auth.addr(), &attempt));
        assert!(gate.wait_arrived(1, LIMIT));
        clock.advance(Duration::from_secs(5));
        gate.open();
        assert!(sender.join().unwrap().is_ok());
    });
    assert_eq!(attempt.sent_at(), Some(Timestamp::from_millis(1_000)));
}

#[test]
fn retry_01_an_endless_limit_is_no_limit() {
    assert_eq!(send(server().addr(), &attempt(Duration::MAX)), Ok(400));
}

#[test]
fn xreq_06_a_redirect_is_an_answer() {
    for status in [301, 302, 303, 307, 308] {
        let (auth, elsewhere) = (server(), server());
        let response = Response::new(status).header("Location", &elsewhere.url("/token"));
        auth.script([Step::new().answer(response)]);
        assert_eq!(send(auth.addr(), &attempt(LIMIT)), Ok(status));
        assert_eq!((auth.log().len(), elsewhere.log().len()), (1, 0));
    }
}

#[test]
fn xrsp_10_any_status_is_an_answer() {
    let auth = server();
    for status in [200, 400, 401, 429, 500, 503] {
        auth.script([Step::new().answer(Response::new(status))]);
        assert_eq!(send(auth.addr(), &attempt(LIMIT)), Ok(status));
    }
}

/// What is handed over of an answer that is too long is enough to see that it is.
#[test]
fn sec_06_content_is_bounded() {
    let auth = server();
    for (length, handed_over) in
        [(Attempt::MAX_BODY, Attempt::MAX_BODY), (3 * Attempt::MAX_BODY, Attempt::MAX_BODY + 1)]
    {
        auth.script([Step::new().answer(Response::new(200).body(vec![b' '; length]))]);
        let request = request(format!("http://{}/token", auth.addr()));
        let answer = UreqTransport::new().send(request, &attempt(LIMIT)).unwrap();
        assert_eq!(answer.into_body().len(), handed_over);
    }
}

/// The server keeps the connection and then drops it without a word: a second request on it would be ambiguous.
#[test]
fn retry_01_no_connection_is_used_twice() {
    let auth = server();
    let transport = UreqTransport::new();
    auth.script([Step::new().cut(Cut::AfterAnswer)]);
    for _ in 0..2 {
        let sent = transport.send(request(auth.url("/token")), &attempt(LIMIT));
        assert!(sent.is_ok());
    }
}

/// The configuration brings along the very middleware whose session waits for this request.
#[test]
fn core_15_middleware_leaves_a_token_request_alone() {
    let auth = server();
    let origins = AllowedOrigins::none().loopback_http(&auth.url("")).unwrap();
    let profile = token_refresh_ureq::JsonProfile::new(
        token_refresh_ureq::wire::JsonEndpoint::new(),
        token_refresh_ureq::Endpoint::https_or_loopback(&auth.url("/refresh")).unwrap(),
    );
    let session = token_refresh_ureq::session(profile).unwrap();
    let middleware = AuthMiddleware::new(session, Rules::new(origins), ureq::agent());
    let transport = UreqTransport::with_config(Agent::config_builder().middleware(middleware).build());

    auth.script([Step::new().answer(Response::new(401))]);
    let response = transport.send(request(auth.url("/refresh")), &attempt(LIMIT));
    assert_eq!(response.map(|response| response.status().as_u16()), Ok(401));
    assert_eq!(auth.log().len(), 1);
}

/// What is written to a proxy to reach the server is not the request: the attempt begins after it.
#[test]
fn retry_01_a_proxy_that_refuses_is_not_sent() {
    let auth = server();
    for (status, result) in [("200 OK", Ok(400)), ("502 Bad Gateway", Err(TransportError::NotSent))] {
        let proxy = Proxy::new(&format!("http://{}", connect_proxy(status))).unwrap();
        let transport = UreqTransport::with_config(Agent::config_builder().proxy(Some(proxy)).build());
        let response = transport.send(request(auth.url("/token")), &attempt(LIMIT));
        assert_eq!(response.map(|response| response.status().as_u16()), result, "{status}");
    }
    assert_eq!(auth.log().len(), 1);
}

/// Runs this test again in a process whose environment names a proxy that does not exist.
#[test]
fn sec_01_the_environment_chooses_no_proxy() {
    const MARK: &str = "TOKEN_REFRESH_TEST_TARGET";
    if let Ok(target) = std::env::var(MARK) {
        assert!(ureq::agent().get(&target).call().is_err(), "the environment works");
        assert!(UreqTransport::new().send(request(target), &attempt(LIMIT)).is_ok());
        return;
    }
    let (auth, closed) = (server(), ClosedPort::new().unwrap());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sec_01_the_environment_chooses_no_proxy"])
        .env(MARK, auth.url("/token"))
        .env("ALL_PROXY", format!("http://{}", closed.addr().unwrap()))
        .status();
    assert!(status.unwrap().success());
    assert_eq!(auth.log().len(), 1);
}

fn server() -> AuthorizationServer {
    AuthorizationServer::start(Policy::default()).unwrap()
}

fn attempt(limit: Duration) -> Attempt {
    let clock = SystemClock::new();
    let send_by = clock.now().after(LIMIT);
    Attempt::new(Arc::new(clock), send_by, limit)
}

fn request(url: String) -> Request<Bytes> {
    let request = Request::post(url).header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Bytes::from_static(b"grant_type=refresh_token&refresh_token=rt")).unwrap()
}

/// The status of the answer.
fn send(addr: SocketAddr, attempt: &Attempt) -> Result<u16, TransportError> {
    let response = UreqTransport::new().send(request(format!("http://{addr}/token")), attempt)?;
    Ok(response.status().as_u16())
}

/// A clock that stands at one second for so many looks, and then is far beyond every limit.
struct LateAfter {
    looks: std::sync::atomic::AtomicU32,
}

impl LateAfter {
    fn looks(looks: u32) -> Self {
        Self { looks: looks.into() }
    }
}

impl Clock for LateAfter {
    fn now(&self) -> Timestamp {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self.looks.fetch_update(SeqCst, SeqCst, |looks| looks.checked_sub(1));
        Timestamp::from_millis(if left.is_ok() { 1_000 } else { 60_000 })
    }
}

/// A proxy for one connection: answers CONNECT with this status, and passes everything on if it is a good one.
fn connect_proxy(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
        write!(&client, "HTTP/1.1 {status}\r\n\r\n").unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let Ok(server) = TcpStream::connect(target) else { return };
        let back = (server.try_clone().unwrap(), client);
        thread::spawn(move || std::io::copy(&mut &back.0, &mut &back.1));
        let _ = std::io::copy(&mut reader, &mut &server);
    });
    addr
}
