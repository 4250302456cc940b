//! Those who wait: what one takes in memory, how soon a herd of threads is served, and what nobody waits for.
//! `cargo bench --manifest-path tests/performance/Cargo.toml --bench waiters`

use std::{
    hint::black_box,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use token_refresh_driver::{
    Attempt, Config, ExchangeError, Grant, ManualClock, Notice, Profile, Secret, Session, SessionBuilder,
    Timestamp, TokenFuture, Transport, TransportError,
};
use token_refresh_performance::{FRESH, grant};

const THREADS: usize = 1_000;
const ROUNDS: usize = 21;
const CALLS: usize = 200_000;

fn main() {
    memory();
    herd_of_threads();
    proactive_refresh();
}

/// Of one caller that is a future, beyond the future itself.
fn memory() {
    println!("| waiters | bytes of each | and the future |\n| --- | --- | --- |");
    for callers in [100, 1_000, 10_000, 100_000] {
        let (session, gate) = gated(Session::builder());
        let refused = session.current().expect("a token").id();
        let mut waiters: Vec<_> = (0..callers).map(|_| session.reject_async(refused)).collect();
        let mut context = Context::from_waker(Waker::noop());
        let memory = measure(|| {
            for waiter in &mut waiters {
                assert!(Pin::new(waiter).poll(&mut context).is_pending());
            }
        });
        let each = memory.bytes_current / callers;
        println!("| {callers} | {each} | {} |", size_of::<TokenFuture>());
        drop(waiters);
        gate.open();
    }
}

/// From the answer until the last thread is served, beside a condition variable.
fn herd_of_threads() {
    let (mut refreshes, mut bare) = (Vec::new(), Vec::new());
    while refreshes.len() < ROUNDS {
        refreshes.extend(refresh());
        bare.push(condition_variable());
    }
    let [refresh, bare] = [refreshes, bare].map(|times| percentile(times, 50).as_secs_f64() * 1e3);
    println!("\n| threads | refresh, ms | condition variable, ms | ratio |\n| --- | --- | --- | --- |");
    println!("| {THREADS} | {refresh:.2} | {bare:.2} | {:.2} |", refresh / bare);
}

/// `None` if not all were waiting when the answer came.
fn refresh() -> Option<Duration> {
    let (session, gate) = gated(Session::builder());
    let refused = session.current().expect("a token").id();
    let (told, released) = channel();
    let subscription = session.subscribe(move |notice| {
        if let Notice::Installed { released, .. } = notice {
            told.send(*released).expect("somebody listens");
        }
    });
    let herd = Herd::gather(move || drop(session.reject(refused).expect("a newer token")));
    let took = herd.release(|| gate.open());
    let all = released.recv().expect("it was told") == THREADS;
    drop(subscription);
    all.then_some(took)
}

fn condition_variable() -> Duration {
    let place = Arc::new((Mutex::new(None::<Secret>), Condvar::new()));
    let herd = Herd::gather({
        let place = Arc::clone(&place);
        move || {
            let there = place.1.wait_while(place.0.lock().expect("no panic"), |token| token.is_none());
            drop(black_box(there.expect("no panic").clone()));
        }
    });
    herd.release(|| {
        *place.0.lock().expect("no panic") = Some(Secret::from("a".repeat(900)));
        place.1.notify_all();
    })
}

/// Threads that wait for the same.
struct Herd(Vec<thread::JoinHandle<Instant>>);

impl Herd {
    fn gather(wait: impl Fn() + Send + Sync + 'static) -> Self {
        let (wait, here) = (Arc::new(wait), Arc::new(AtomicUsize::new(0)));
        let threads = (0..THREADS).map(|_| {
            let (wait, here) = (Arc::clone(&wait), Arc::clone(&here));
            let thread = thread::Builder::new().stack_size(128 * 1024).spawn(move || {
                here.fetch_add(1, Ordering::SeqCst);
                wait();
                Instant::now()
            });
            thread.expect("a thread")
        });
        let threads = threads.collect();
        while here.load(Ordering::SeqCst) < THREADS {
            thread::yield_now();
        }
        // Each is one step away from its wait. Whether all took it is seen afterwards.
        thread::sleep(Duration::from_millis(100));
        Self(threads)
    }

    fn release(self, release: impl FnOnce()) -> Duration {
        let begin = Instant::now();
        release();
        let last = self.0.into_iter().map(|thread| thread.join().expect("no panic")).max();
        last.expect("some").saturating_duration_since(begin)
    }
}

/// How long a call takes while a refresh is under way in the background, and while none is.
fn proactive_refresh() {
    let clock = Arc::new(ManualClock::new(FRESH));
    let (session, gate) = gated(Session::builder().clock(Arc::clone(&clock)));
    drop(calls(&session));
    let before = calls(&session);
    while gate.begun.try_recv().is_err() {
        clock.advance(Duration::from_secs(1));
        session.token().expect("a token that is good");
    }
    let during = calls(&session);
    gate.open();
    println!("\n| a call of `token` | p50, ns | p99, ns | p99.99, ns |\n| --- | --- | --- | --- |");
    for (when, times) in [("no refresh under way", before), ("during one", during)] {
        let [half, most, nearly_all] =
            [5_000, 9_900, 9_999].map(|share| percentile(times.clone(), share).as_nanos());
        println!("| {when} | {half} | {most} | {nearly_all} |");
    }
}

fn calls(session: &Session) -> Vec<Duration> {
    let call = || {
        let begin = Instant::now();
        drop(black_box(session.token().expect("a token that is good")));
        begin.elapsed()
    };
    (0..CALLS).map(|_| call()).collect()
}

/// Of a hundred, or of ten thousand.
fn percentile(mut times: Vec<Duration>, share: usize) -> Duration {
    times.sort();
    let whole = if share > 100 { 10_000 } else { 100 };
    times[(times.len() * share / whole).min(times.len() - 1)]
}

/// Has a token; the answer to the next refresh waits for the gate.
fn gated(builder: SessionBuilder) -> (Session, Gate) {
    let ((tell, begun), (open, opened)) = (channel(), channel());
    let transport = Gated { tell, opened: Mutex::new(opened) };
    let mut config = Config::default();
    config.max_waiters = usize::MAX;
    let session = builder.config(config).blocking(transport, Plain).expect("a good configuration");
    session.sign_in(grant(900));
    (session, Gate { begun, open })
}

struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn open(&self) {
        self.open.send(()).expect("the transport waits");
    }
}

struct Gated {
    tell: Sender<()>,
    opened: Mutex<Receiver<()>>,
}

impl Transport for Gated {
    fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.tell.send(()).map_err(|_| TransportError::NotSent)?;
        self.opened.lock().expect("no panic").recv().map_err(|_| TransportError::Ambiguous)?;
        Ok(Response::new(Bytes::new()))
    }
}

struct Plain;

impl Profile for Plain {
    fn request(&self, _: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        Ok(Request::new(Bytes::new()))
    }

    fn read(&self, _: &Response<Bytes>, _: Option<&Secret>, _: Timestamp) -> Result<Grant, ExchangeError> {
        Ok(grant(900))
    }
}
