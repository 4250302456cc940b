//! The runtime that comes with the driver.
#![allow(clippy::unwrap_used)]

mod async_support;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use async_support::{grant, in_time, poll, profile};
use bytes::Bytes;
use futures::executor::block_on;
use http::{Request, Response};
use token_refresh_driver::{
    AsyncTransport, Attempt, Clock, Error, Session, Sleep as _, Timestamp, TokioRuntime, TransportError,
};

const SECOND: Duration = Duration::from_secs(1);

/// Tokio's own time, which jumps ahead when nobody has anything to do.
struct TokioTime(tokio::time::Instant);

impl Clock for TokioTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).after(self.0.elapsed())
    }
}

/// Answers after five seconds.
struct Slow(Arc<AtomicUsize>);

impl AsyncTransport for Slow {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(5 * SECOND).await;
        Ok(Response::new(Bytes::from_static(
            br#"{"access_token":"at2","token_type":"Bearer","expires_in":60}"#,
        )))
    }
}

#[tokio::test(start_paused = true)]
async fn core_13_time_limits_are_kept() {
    let exchanges = Arc::new(AtomicUsize::new(0));
    let session = Session::builder()
        .clock(TokioTime(tokio::time::Instant::now()))
        .asynchronous(Slow(Arc::clone(&exchanges)), profile(), TokioRuntime::current().unwrap())
        .unwrap();
    session.sign_in(grant("at1", "rt1"));
    let refused = session.token_async().await.unwrap().id();
    let begun = tokio::time::Instant::now();
    assert!(matches!(session.reject_async(refused).within(2 * SECOND).await, Err(Error::TimedOut)));
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(session.reject_async(refused).await.unwrap().secret().expose(), "at2");
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(exchanges.load(Ordering::SeqCst), 1);
}

/// Never answers.
struct Silent(Sender<()>);

impl AsyncTransport for Silent {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.0.send(()).unwrap();
        pending().await
    }
}

#[test]
fn core_03_a_runtime_that_is_shut_down_in_the_middle_of_a_refresh_answers_everybody() {
    for threads in [1, 4] {
        in_time(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_time()
                .build()
                .unwrap();
            let (sent, is_sent) = channel();
            let session = Session::builder()
                .asynchronous(Silent(sent), profile(), TokioRuntime::new(runtime.handle().clone()))
                .unwrap();
            session.sign_in(grant("at1", "rt1"));
            let refused = session.current().unwrap().id();
            let mut callers: Vec<_> = (0..10).map(|_| session.reject_async(refused)).collect();
            for caller in &mut callers {
                assert!(poll(caller).is_pending());
            }
            let blocking = {
                let session = session.clone();
                thread::spawn(move || session.reject(refused))
            };
            let tasks = thread::spawn(move || block_on(futures::future::join_all(callers)));
            is_sent.recv().unwrap();
            drop(runtime);
            for answer in tasks.join().unwrap() {
                assert!(matches!(answer, Err(Error::Failed(_))));
            }
            assert!(matches!(blocking.join().unwrap(), Err(Error::Failed(_))));
            assert!(matches!(block_on(session.token_async()), Err(Error::Failed(_))));
        });
    }
}

/// A caller may outlive the runtime, and must not panic for it.
#[test]
fn without_the_runtime_no_time_passes() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let mut begun = Box::pin(runtime.sleep(SECOND));
    assert!(poll(&mut begun).is_pending());
    drop(tokio);
    assert!(poll(&mut begun).is_pending());
    assert!(poll(&mut begun).is_pending());
    assert!(poll(&mut Box::pin(runtime.sleep(SECOND))).is_pending());
}
