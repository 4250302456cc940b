//! A million demands and ten thousand refreshes leave nothing behind: no memory, no thread, no task.
#![allow(clippy::unwrap_used)]

use std::{
    alloc::System,
    fmt::Debug,
    fs,
    future::Future as _,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use token_refresh_driver::{
    AsyncTransport, Attempt, Endpoint, Grant, ManualClock, OAuthProfile, Session, SessionBuilder, Timestamp,
    TokioRuntime, Transport, TransportError,
    store::MemoryStore,
    wire::{ClientAuth, OAuthClient},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Each has one refresh and a hundred demands, of which one is given up.
const ROUNDS: u32 = 10_000;
/// What there is after so many rounds is what there is after all of them.
const WARM: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// One test, since another would be counted, too.
#[test]
fn core_14_a_million_demands_of_either_kind_leave_nothing_behind() {
    threads_leave_nothing_behind();
    tasks_leave_nothing_behind();
}

fn threads_leave_nothing_behind() {
    let threads = threads();
    let (session, clock) = open(|builder| builder.blocking(Server::default(), profile()).unwrap());
    let round = || {
        let refused = session.current().unwrap().id();
        // Begins the refresh, and does not wait for it.
        let _ = session.reject_within(refused, Duration::ZERO);
        for _ in 0..99 {
            assert!(session.token().unwrap().id() > refused);
        }
        session.settle(PATIENCE).unwrap();
    };
    stays_flat(&session, &clock, round);
    drop(session);
    comes_to(&threads, self::threads);
}

fn tasks_leave_nothing_behind() {
    let threads = threads();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let tasks = TokioRuntime::new(tokio.handle().clone());
    let (session, clock) = open(|builder| builder.asynchronous(Server::default(), profile(), tasks).unwrap());
    let round = || {
        tokio.block_on(async {
            let refused = session.current().unwrap().id();
            {
                let given_up = pin!(session.reject_async(refused));
                assert!(given_up.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            for _ in 0..99 {
                assert!(session.token_async().await.unwrap().id() > refused);
            }
            session.settle_async(PATIENCE).await.unwrap();
        });
    };
    stays_flat(&session, &clock, round);
    let metrics = tokio.metrics();
    let alive = || {
        // Whoever was told that it is over has still to run to its end.
        tokio.block_on(tokio::task::yield_now());
        metrics.num_alive_tasks()
    };
    comes_to(&0, alive);
    comes_to(&threads, self::threads);
}

/// Every refresh is saved in a store, too.
fn open(build: impl FnOnce(SessionBuilder) -> Session) -> (Session, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(1_800_000_000_000));
    let session = build(Session::builder().clock(clock.clone()).store(MemoryStore::new()));
    session.sign_in(Grant::new("at00000000").unwrap().with_refresh_token("rt00000000").unwrap());
    (session, clock)
}

fn stays_flat(session: &Session, clock: &ManualClock, round: impl Fn()) {
    let mut warm = None;
    for number in 1..=ROUNDS {
        // The rate allows five refreshes in half a minute.
        clock.advance(Duration::from_secs(30));
        round();
        session.accept(session.current().unwrap().id());
        if number == WARM {
            warm = Some(at_rest());
        }
    }
    comes_to(&warm.unwrap(), live);
}

/// The bytes in use, and in how many pieces.
fn live() -> (usize, usize) {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated, stats.allocations - stats.deallocations)
}

/// A thread that has answered has still to come to its end: what is in use when nothing changes any more.
fn at_rest() -> (usize, usize) {
    let mut before = live();
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = live();
        if now == before {
            return now;
        }
        before = now;
    }
}

fn comes_to<T: PartialEq + Debug>(expected: &T, found: impl Fn() -> T) {
    let end = Instant::now() + PATIENCE;
    while found() != *expected {
        assert!(Instant::now() < end, "there are {:?}, and not {expected:?}", found());
        thread::yield_now();
    }
}

/// 0 where the system does not say.
fn threads() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
    threads.unwrap_or_default()
}

fn profile() -> OAuthProfile {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token").unwrap())
}

/// Grants whatever is asked, with tokens of one length.
#[derive(Default)]
struct Server(AtomicU32);

impl Server {
    fn answer(&self, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!(
            r#"{{"access_token":"at{number:08}","token_type":"Bearer","refresh_token":"rt{number:08}"}}"#
        );
        Ok(Response::new(Bytes::from(body)))
    }
}

impl Transport for Server {
    fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        self.answer(attempt)
    }
}

impl AsyncTransport for Server {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        self.answer(attempt)
    }
}
