//! A scripted authorization server, an async store, time that the test moves, and a test body's way onto every runtime.
//! Nothing here waits for real time, except to fail a test that would hang.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

#[path = "../../examples/custom_runtime/executor.rs"]
mod executor;
mod store;
mod time;

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, channel},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    channel::{mpsc, oneshot},
};
use http::{Request, Response};
use token_refresh_driver::{
    AsyncTransport, Attempt, Endpoint, Grant, OAuthProfile, Session, SessionBuilder, Sleep, Spawn, Task,
    TokenFuture, TokenId, TransportError,
    wire::{ClientAuth, OAuthClient},
};

pub(crate) use self::{
    store::{AsyncMemoryStore, Memory},
    time::VirtualTime,
};

/// How long a test waits for what must happen before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The lifetime of every token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Test bodies, each on every runtime: `async fn name(runtime: Runtime) { … }`.
macro_rules! on_every_runtime {
    ($($(#[$attribute:meta])* async fn $name:ident($runtime:ident: Runtime) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn body($runtime: Runtime) $body

            #[test]
            fn on_tokio_current_thread() {
                $crate::async_support::on_tokio_current_thread(body);
            }

            #[test]
            fn on_tokio_multi_thread() {
                $crate::async_support::on_tokio_multi_thread(body);
            }

            #[test]
            fn on_smol() {
                $crate::async_support::on_smol(body);
            }

            #[test]
            fn on_an_executor_of_ones_own() {
                $crate::async_support::on_an_executor_of_ones_own(body);
            }
        }
    )*};
}
pub(crate) use on_every_runtime;

/// Spawns on the runtime that the test runs on; sleeps in virtual time.
#[derive(Clone)]
pub(crate) struct Runtime {
    spawn: Arc<dyn Fn(BoxFuture) + Send + Sync>,
    pub(crate) time: VirtualTime,
}

impl Runtime {
    pub(crate) fn new(spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        Self { spawn: Arc::new(spawn), time: VirtualTime::default() }
    }

    /// Runs the future in a task; its output comes back, unless the task is thrown away.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        (self.spawn)(Box::pin(async move {
            // The test may not wait for it.
            let _ = sender.send(future.await);
        }));
        receiver
    }
}

impl Spawn for Runtime {
    fn spawn(&self, task: Task) {
        (self.spawn)(Box::pin(task));
    }
}

impl Sleep for Runtime {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.time.sleep(span)
    }
}

pub(crate) fn on_tokio_current_thread<F: Future<Output = ()> + 'static>(body: fn(Runtime) -> F) {
    in_time(move || run_on_tokio(&tokio::runtime::Builder::new_current_thread().build().unwrap(), body));
}

pub(crate) fn on_tokio_multi_thread<F: Future<Output = ()> + 'static>(body: fn(Runtime) -> F) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    in_time(move || run_on_tokio(&builder.worker_threads(4).build().unwrap(), body));
}

fn run_on_tokio<F: Future<Output = ()>>(tokio: &tokio::runtime::Runtime, body: fn(Runtime) -> F) {
    let handle = tokio.handle().clone();
    tokio.block_on(body(Runtime::new(move |task| drop(handle.spawn(task)))));
}

pub(crate) fn on_smol<F: Future<Output = ()> + 'static>(body: fn(Runtime) -> F) {
    in_time(move || smol::block_on(body(Runtime::new(|task| smol::spawn(task).detach()))));
}

pub(crate) fn on_an_executor_of_ones_own<F: Future<Output = ()> + 'static>(body: fn(Runtime) -> F) {
    in_time(move || {
        let executor = executor::Executor::new();
        let handle = std::sync::Mutex::new(executor.handle());
        executor.run(body(Runtime::new(move |task| handle.lock().unwrap().spawn(task))));
    });
}

/// A test that hangs is to fail.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel::<()>();
    let test = thread::spawn(move || {
        let _done = done;
        test();
    });
    let ended = ended.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the test hangs");
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets other tasks run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    let mut yielding = pin!(std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    yielding.as_mut().await;
}

/// The test's side of the server: each request waits until the test answers it.
pub(crate) struct Server {
    calls: mpsc::UnboundedReceiver<Call>,
}

/// The session's side.
#[derive(Clone)]
pub(crate) struct Wire {
    calls: mpsc::UnboundedSender<Call>,
}

/// One request, and the way to answer it. Dropping it cuts the connection.
pub(crate) struct Call {
    pub(crate) form: String,
    answer: oneshot::Sender<Behaviour>,
}

enum Behaviour {
    Answer(u16, String),
    Panic,
}

impl AsyncTransport for Wire {
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        let (answer, behaviour) = oneshot::channel();
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        // A test that has ended answers nobody.
        self.calls.unbounded_send(Call { form, answer }).map_err(|_| TransportError::Ambiguous)?;
        match behaviour.await.map_err(|_| TransportError::Ambiguous)? {
            Behaviour::Answer(status, body) => {
                Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
            }
            Behaviour::Panic => panic!("the transport panics, as the test asked for"),
        }
    }
}

impl Server {
    pub(crate) async fn call(&mut self) -> Call {
        self.calls.next().await.expect("the session is gone")
    }

    /// To be asked when the session is settled.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

impl Call {
    pub(crate) fn presents(&self, refresh: &str) -> bool {
        self.form.contains(&format!("&refresh_token={refresh}&"))
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        // If it was given up, nobody listens.
        let _ = self.answer.send(Behaviour::Answer(status, body.into()));
    }

    pub(crate) fn grant(self, access: &str, refresh: &str) {
        self.answer(
            200,
            &format!(
                r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}}"#
            ),
        );
    }

    pub(crate) fn panic(self) {
        let _ = self.answer.send(Behaviour::Panic);
    }

    /// Whether the driver has stopped to wait for the answer.
    pub(crate) fn is_given_up(&self) -> bool {
        self.answer.is_canceled()
    }
}

/// A session, its runtime and its server.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) server: Server,
    pub(crate) runtime: Runtime,
}

impl World {
    /// Signed in with `at1` and `rt1`; the credential lives in the session alone.
    pub(crate) fn signed_in(runtime: Runtime) -> Self {
        let world = Self::new(runtime, |builder| builder);
        world.session.sign_in(grant("at1", "rt1"));
        world
    }

    /// Signed in with `at1` and `rt1`, which are in the store.
    pub(crate) async fn stored(runtime: Runtime, store: &AsyncMemoryStore) -> Self {
        let world = Self::new(runtime, |builder| builder.async_store(store.clone()));
        world.sign_in_stored().await
    }

    pub(crate) async fn sign_in_stored(self) -> Self {
        self.session.sign_in(grant("at1", "rt1"));
        self.session.settle_async(PATIENCE).await.expect("the sign-in is written");
        self
    }

    pub(crate) fn new(runtime: Runtime, build: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let (calls, received) = mpsc::unbounded();
        let builder = build(Session::builder().clock(runtime.time.clone()));
        let session = builder.asynchronous(Wire { calls }, profile(), runtime.clone()).unwrap();
        Self { session, server: Server { calls: received }, runtime }
    }

    /// The id of the token that callers get now.
    pub(crate) fn id(&self) -> TokenId {
        self.session.current().expect("there is a token").id()
    }

    /// The token that callers get now.
    pub(crate) fn access_token(&self) -> String {
        self.session.current().expect("there is a token").secret().expose().into()
    }

    /// So many refusals of the current token, each waiting in the queue.
    pub(crate) fn waiting(&self, callers: usize) -> Vec<TokenFuture> {
        let refused = self.id();
        let mut waiting: Vec<_> = (0..callers).map(|_| self.session.reject_async(refused)).collect();
        for caller in &mut waiting {
            assert!(poll(caller).is_pending(), "there is nothing to wait for");
        }
        waiting
    }
}

pub(crate) fn profile() -> OAuthProfile {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token").unwrap())
}

pub(crate) fn grant(access: &str, refresh: &str) -> Grant {
    Grant::new(access).unwrap().with_refresh_token(refresh).unwrap().with_lifetime(LIFETIME)
}
