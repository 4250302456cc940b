//! Everybody waits for one refresh: from its answer until the last one is served, beside a list of wakers that is
//! drained, which is what any way of waiting has to do at least.
//! `cargo bench --manifest-path tests/performance/Cargo.toml --bench herd`

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use divan::Bencher;
use http::{Request, Response};
use token_refresh_driver::{
    AsyncTransport, Attempt, Config, ExchangeError, Grant, Profile, Secret, Session, Timestamp, TokioRuntime,
    TransportError,
};
use token_refresh_performance::grant;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
};

fn main() {
    divan::main();
}

const CALLERS: [usize; 4] = [100, 1_000, 10_000, 100_000];
const LIMIT: Duration = Duration::from_secs(3_600);

#[divan::bench(args = CALLERS, sample_count = 20, sample_size = 1)]
fn one_thread_a_refresh(bencher: Bencher, callers: usize) {
    measure(bencher, one_thread, |runtime, herd| refresh(runtime, herd, callers));
}

#[divan::bench(args = CALLERS, sample_count = 20, sample_size = 1)]
fn one_thread_b_list_of_wakers(bencher: Bencher, callers: usize) {
    measure(bencher, one_thread, |runtime, herd| wakers(runtime, herd, callers));
}

#[divan::bench(args = CALLERS, sample_count = 20, sample_size = 1)]
fn two_threads_a_refresh(bencher: Bencher, callers: usize) {
    measure(bencher, two_threads, |runtime, herd| refresh(runtime, herd, callers));
}

#[divan::bench(args = CALLERS, sample_count = 20, sample_size = 1)]
fn two_threads_b_list_of_wakers(bencher: Bencher, callers: usize) {
    measure(bencher, two_threads, |runtime, herd| wakers(runtime, herd, callers));
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// Times from the release of a herd, all of which waits, until its last one is served.
fn measure(
    bencher: Bencher,
    runtime: fn() -> Runtime,
    gather: impl Fn(&Runtime, Arc<Herd>) -> Box<dyn FnOnce() + Send> + Sync,
) {
    bencher
        .with_inputs(|| {
            let (runtime, (done, all_done)) = (runtime(), unbounded_channel());
            let herd = Arc::new(Herd { waiting: AtomicUsize::new(0), served: AtomicUsize::new(0), done });
            let release = gather(&runtime, herd);
            (runtime, release, all_done)
        })
        .bench_local_values(|(runtime, release, mut all_done): (Runtime, _, UnboundedReceiver<()>)| {
            release();
            runtime.block_on(all_done.recv());
            runtime
        });
}

struct Herd {
    waiting: AtomicUsize,
    served: AtomicUsize,
    done: UnboundedSender<()>,
}

impl Herd {
    /// Starts so many of these, and returns when all wait.
    fn gather<F>(self: &Arc<Self>, runtime: &Runtime, callers: usize, wait: impl Fn() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        for _ in 0..callers {
            let (herd, wait) = (Arc::clone(self), wait());
            runtime.spawn(async move {
                let (mut wait, mut joined) = (pin!(wait), false);
                poll_fn(|context| {
                    let ready = wait.as_mut().poll(context);
                    if ready.is_pending() && !std::mem::replace(&mut joined, true) {
                        herd.waiting.fetch_add(1, Ordering::SeqCst);
                    }
                    ready
                })
                .await;
                if herd.served.fetch_add(1, Ordering::SeqCst) + 1 == callers {
                    herd.done.send(()).unwrap();
                }
            });
        }
        while self.waiting.load(Ordering::SeqCst) < callers {
            runtime.block_on(tokio::task::yield_now());
            thread::yield_now();
        }
    }
}

fn refresh(runtime: &Runtime, herd: Arc<Herd>, callers: usize) -> Box<dyn FnOnce() + Send> {
    let gate = Arc::new(Semaphore::new(0));
    let mut config = Config::default();
    config.max_waiters = usize::MAX;
    config.exchange_limit = LIMIT;
    let session = Session::builder()
        .config(config)
        .time_limit(LIMIT)
        .asynchronous(Gated(Arc::clone(&gate)), Plain, TokioRuntime::new(runtime.handle().clone()))
        .unwrap();
    session.sign_in(grant(900));
    let refused = session.current().unwrap().id();
    herd.gather(runtime, callers, || {
        let token = session.reject_async(refused);
        async move { drop(token.await.unwrap()) }
    });
    Box::new(move || gate.add_permits(1))
}

fn wakers(runtime: &Runtime, herd: Arc<Herd>, callers: usize) -> Box<dyn FnOnce() + Send> {
    #[derive(Default)]
    struct List {
        over: AtomicBool,
        wakers: Mutex<Vec<Waker>>,
    }
    let list = Arc::<List>::default();
    herd.gather(runtime, callers, || {
        let list = Arc::clone(&list);
        poll_fn(move |context| {
            if list.over.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            list.wakers.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        })
    });
    Box::new(move || {
        list.over.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *list.wakers.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    })
}

/// Answers once the gate is open.
struct Gated(Arc<Semaphore>);

impl AsyncTransport for Gated {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.0.acquire().await.map_err(|_| TransportError::Ambiguous)?.forget();
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
