//! A scripted authorization server, an in-memory store, and a session on a clock that the test moves. Nothing here
//! waits for real time, except to fail a test that would hang.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::{
    iter,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use token_refresh_core::{Body, Origin};
use token_refresh_driver::{
    Attempt, CommitError, Config, Endpoint, Error, Grant, ManualClock, Notice, OAuthProfile, Record, Session,
    SessionBuilder, Store, StoreError, Stored, Subscription, Timestamp, Token, TokenId, Transport,
    TransportError, Version,
    wire::{ClientAuth, OAuthClient},
};

/// How long a test waits for what must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The lifetime of every token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// The test's side of the server: each request waits until the test answers it.
pub(crate) struct Server {
    calls: Receiver<Call>,
}

/// The session's side.
pub(crate) struct Wire {
    calls: Mutex<Sender<Call>>,
}

/// One request, and the way to answer it. Dropping it cuts the connection.
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) form: String,
    pub(crate) headers: HeaderMap,
    answer: Sender<Behaviour>,
}

enum Behaviour {
    Answer(Response<Bytes>),
    Panic,
}

pub(crate) fn server() -> (Server, Wire) {
    let (sender, calls) = channel();
    (Server { calls }, Wire { calls: Mutex::new(sender) })
}

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        let (answer, behaviour) = channel();
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        let call =
            Call { path: request.uri().path().into(), form, headers: request.headers().clone(), answer };
        // A test that has ended answers nobody.
        self.calls.lock().unwrap().send(call).map_err(|_| TransportError::Ambiguous)?;
        match behaviour.recv().map_err(|_| TransportError::Ambiguous)? {
            Behaviour::Answer(response) => Ok(response),
            Behaviour::Panic => panic!("the transport panics, as the test asked for"),
        }
    }
}

impl Server {
    pub(crate) fn call(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("no request came")
    }

    /// To be asked when the session is settled.
    pub(crate) fn is_quiet(&self) -> bool {
        self.calls.try_recv().is_err()
    }
}

impl Call {
    /// Whether it presents this refresh token.
    pub(crate) fn presents(&self, refresh: &str) -> bool {
        self.path == "/token" && self.form.contains(&format!("&refresh_token={refresh}&"))
    }

    /// Whether it revokes this refresh token.
    pub(crate) fn revokes(&self, refresh: &str) -> bool {
        self.path == "/revoke" && self.form.contains(&format!("&token={refresh}&"))
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        self.reply(Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap());
    }

    pub(crate) fn reply(self, response: Response<Bytes>) {
        self.answer.send(Behaviour::Answer(response)).unwrap();
    }

    pub(crate) fn grant(self, access: &str, refresh: &str) {
        self.answer(
            200,
            &format!(
                r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}}"#
            ),
        );
    }

    pub(crate) fn refuse(self) {
        self.answer(400, r#"{"error":"invalid_grant"}"#);
    }

    pub(crate) fn panic(self) {
        self.answer.send(Behaviour::Panic).unwrap();
    }
}

/// A store in memory that can be made to fail. Clones are one store.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Arc<Kept>);

#[derive(Default)]
struct Kept {
    stored: Mutex<Stored>,
    down: AtomicBool,
    panics: AtomicBool,
    loads: AtomicUsize,
}

impl MemoryStore {
    pub(crate) fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn set_panics(&self, panics: bool) {
        self.0.panics.store(panics, Ordering::SeqCst);
    }

    pub(crate) fn stored(&self) -> Stored {
        self.0.stored.lock().unwrap().clone()
    }

    /// The refresh token that is stored.
    pub(crate) fn refresh_token(&self) -> Option<String> {
        match self.stored().record?.body {
            Body::Grant { grant, .. } => grant.refresh_token().map(|token| token.expose().into()),
            Body::Vacant | Body::SignedOut => None,
        }
    }

    pub(crate) fn is_signed_out(&self) -> bool {
        self.stored().record.is_some_and(|record| record.body == Body::SignedOut)
    }

    pub(crate) fn loads(&self) -> usize {
        self.0.loads.load(Ordering::SeqCst)
    }

    fn is_up(&self) -> bool {
        assert!(!self.0.panics.load(Ordering::SeqCst), "the store panics, as the test asked for");
        !self.0.down.load(Ordering::SeqCst)
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Stored, StoreError> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        if self.is_up() { Ok(self.stored()) } else { Err(StoreError) }
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        if !self.is_up() {
            return Err(CommitError::Unavailable);
        }
        let mut stored = self.0.stored.lock().unwrap();
        if stored.version != expected {
            return Err(CommitError::Conflict);
        }
        *stored = Stored { version: Version(expected.0 + 1), record: Some(record.clone()) };
        Ok(stored.version)
    }
}

/// A session, its clock and its server.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) clock: ManualClock,
    pub(crate) server: Server,
}

impl World {
    /// Signed in with `at1` and `rt1`; the credential lives in the session alone.
    pub(crate) fn signed_in() -> Self {
        let world = Self::new(|builder| builder);
        world.session.sign_in(grant("at1", "rt1"));
        world
    }

    /// Signed in with `at1` and `rt1`, which are in the store.
    pub(crate) fn stored(store: &MemoryStore) -> Self {
        let store = store.clone();
        let world = Self::new(move |builder| builder.store(store));
        world.session.sign_in(grant("at1", "rt1"));
        world.session.settle(PATIENCE).expect("the sign-in is written");
        world
    }

    pub(crate) fn new(build: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        Self::at(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)), build)
    }

    pub(crate) fn at(clock: ManualClock, build: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let (server, wire) = server();
        let builder = Session::builder().clock(clock.clone()).config(Config::default());
        let session = build(builder).blocking(wire, profile()).unwrap();
        Self { session, clock, server }
    }

    /// The id of the token that callers get now.
    pub(crate) fn id(&self) -> TokenId {
        self.session.current().expect("there is a token").id()
    }

    /// So many callers, all of them waiting when this returns.
    pub(crate) fn waiting(
        &self,
        number: usize,
        ask: impl Fn(&Session) -> Result<Token, Error> + Send + Sync + 'static,
    ) -> Callers {
        let callers = Callers::start(&self.session, number, ask);
        assert!(self.clock.await_parked(number, PATIENCE), "the callers do not wait");
        callers
    }

    /// Lets time pass in small steps until something has happened.
    pub(crate) fn until(&self, at_rest: usize, happened: impl FnMut() -> bool) {
        until(&self.clock, at_rest, happened);
    }
}

/// Lets time pass in small steps until something has happened. A step is made when so many threads wait for time to
/// pass, which is to say that nothing else can happen before it does.
pub(crate) fn until(clock: &ManualClock, at_rest: usize, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it did not happen");
        if clock.await_parked(at_rest, Duration::from_millis(10)) {
            clock.advance(Duration::from_millis(20));
        }
    }
}

pub(crate) fn profile() -> OAuthProfile {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token").unwrap())
        .with_revocation_at(Endpoint::https("https://auth.example/revoke").unwrap())
}

pub(crate) fn grant(access: &str, refresh: &str) -> Grant {
    Grant::new(access).unwrap().with_refresh_token(refresh).unwrap().with_lifetime(LIFETIME)
}

/// Threads that ask, all let loose at the same moment.
pub(crate) struct Callers {
    answers: Receiver<Result<Token, Error>>,
    number: usize,
}

impl Callers {
    pub(crate) fn start(
        session: &Session,
        number: usize,
        ask: impl Fn(&Session) -> Result<Token, Error> + Send + Sync + 'static,
    ) -> Self {
        let (start, ask) = (Arc::new(Barrier::new(number)), Arc::new(ask));
        let (sender, answers) = channel();
        for _ in 0..number {
            let (session, start, ask, sender) =
                (session.clone(), Arc::clone(&start), Arc::clone(&ask), sender.clone());
            thread::spawn(move || {
                start.wait();
                // A test that has failed listens no more.
                let _ = sender.send(ask(&session));
            });
        }
        Self { answers, number }
    }

    /// What they were told, in the order in which they were.
    pub(crate) fn answers(self) -> Vec<Result<Token, Error>> {
        let answer = |_| self.answers.recv_timeout(PATIENCE).expect("a caller is not answered");
        (0..self.number).map(answer).collect()
    }

    /// The access tokens that they got.
    pub(crate) fn tokens(self) -> Vec<String> {
        self.answers().into_iter().map(|answer| answer.unwrap().secret().expose().into()).collect()
    }
}

/// Every notice, in order.
pub(crate) struct Notices {
    notices: Receiver<Notice>,
    _subscription: Subscription,
}

impl Notices {
    pub(crate) fn of(session: &Session) -> Self {
        let (sender, notices) = channel();
        let sender = Mutex::new(sender);
        let subscription = session.subscribe(move |notice| {
            // After the test nobody listens.
            let _ = sender.lock().unwrap().send(*notice);
        });
        Self { notices, _subscription: subscription }
    }

    pub(crate) fn next(&self) -> Notice {
        self.notices.recv_timeout(PATIENCE).expect("no notice came")
    }

    /// What has been told but not looked at. Notices come in order, so a sign-in marks the end.
    pub(crate) fn rest(&self, session: &Session) -> Vec<Notice> {
        session.sign_in(grant("end", "end"));
        let is_end = |notice: &Notice| matches!(notice, Notice::Installed { origin: Origin::SignIn, .. });
        iter::repeat_with(|| self.next()).take_while(|notice| !is_end(notice)).collect()
    }
}
