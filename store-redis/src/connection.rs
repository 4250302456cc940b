use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use token_refresh_driver::Changed;
use tokio::{
    runtime::{self, Handle, Runtime},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{RedisStore, RedisStoreError, listener::Listener};

/// A server, and the connections to it that are not in use now. Shared by all the credentials that it keeps; clones
/// share them too.
///
/// A thread of its own waits for the server, so it can be used with any runtime and with none.
#[derive(Clone)]
pub struct Redis {
    server: Arc<Server>,
    background: Arc<Background>,
    replicas: usize,
}

struct Server {
    client: Client,
    idle: Mutex<Vec<MultiplexedConnection>>,
    listener: Option<Listener>,
}

impl Redis {
    /// How long a call may take, making the connection included.
    const LIMIT: Duration = Duration::from_millis(1500);

    /// The server of this client. Connects when it is needed, not now.
    pub fn new(client: Client) -> Self {
        Self { server: Server::new(client, None), background: Arc::default(), replicas: 0 }
    }

    /// A commit counts only once so many replicas have it; if they do not in time, it fails with
    /// [`RedisStoreError::TooFewReplicas`]. Default: 0. See [When Redis forgets](crate#when-redis-forgets).
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The same server over other connections, on which commits are announced (`PUBLISH`), and one more, on which the
    /// announcements of others are heard (`SUBSCRIBE`): a session that waits for another process then loads when there
    /// is something new, and not only at the end of its pause, of up to 0.5 s. Nothing depends on it. See
    /// [Notifications](crate#notifications).
    #[must_use]
    pub fn notifying(self) -> Self {
        let client = self.server.client.clone();
        Self { server: Server::new(client.clone(), Some(Listener::new(client))), ..self }
    }

    /// The credential under this key. Whoever takes the same key, in any process, shares it.
    pub fn credential(&self, key: impl Into<String>) -> RedisStore {
        RedisStore::new(self.clone(), key.into())
    }

    /// Ready once the server announces a change under this key.
    pub(crate) fn changed(&self, key: &str) -> Changed {
        match (&self.server.listener, self.background.handle()) {
            (Some(listener), Ok(thread)) => listener.changed(key, &thread),
            (None, _) | (_, Err(_)) => Changed::never(),
        }
    }

    /// Does something with a connection, and blocks until it is done or the time is over.
    pub(crate) fn run<T, F>(
        &self,
        operation: impl FnOnce(Link) -> F + Send + 'static,
    ) -> Result<T, RedisStoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RedisStoreError>> + Send,
    {
        let thread = self.background.handle()?;
        let task = self.start(&thread, operation);
        let (answer, answered) = mpsc::sync_channel(1);
        thread.spawn(async move { answer.send(task.await) });
        answered.recv().map_or_else(|_| Err(ended()), |answer| answer.unwrap_or_else(|_| Err(ended())))
    }

    /// The same for whoever can await it.
    pub(crate) async fn run_async<T, F>(
        &self,
        operation: impl FnOnce(Link) -> F + Send + 'static,
    ) -> Result<T, RedisStoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RedisStoreError>> + Send,
    {
        let thread = self.background.handle()?;
        self.start(&thread, operation).await.unwrap_or_else(|_| Err(ended()))
    }

    fn start<T, F>(
        &self,
        thread: &Handle,
        operation: impl FnOnce(Link) -> F + Send + 'static,
    ) -> JoinHandle<Result<T, RedisStoreError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RedisStoreError>> + Send,
    {
        let (server, replicas) = (self.server.clone(), self.replicas);
        thread.spawn(async move {
            let deadline = Instant::now() + Self::LIMIT;
            let result = timeout_at(deadline, async {
                let connection = server.connection().await?;
                let announces = server.listener.is_some();
                let link = Link { connection: connection.clone(), deadline, replicas, announces };
                let result = operation(link).await;
                if !matches!(&result, Err(error) if is_about_the_connection(error)) {
                    server.idle().push(connection);
                }
                result
            });
            let result = result.await.unwrap_or(Err(RedisStoreError::TimedOut));
            if result.as_ref().is_err_and(is_about_the_connection) {
                server.disconnect();
            }
            result
        })
    }
}

/// A task panicked, or the thread is gone.
fn ended() -> RedisStoreError {
    RedisStoreError::Connection("the thread that waits for the server has ended".into())
}

/// What a new connection may mend: also a server that has become a replica.
fn is_about_the_connection(error: &RedisStoreError) -> bool {
    !matches!(error, RedisStoreError::Format(_))
}

impl Server {
    fn new(client: Client, listener: Option<Listener>) -> Arc<Self> {
        Arc::new(Self { client, idle: Mutex::default(), listener })
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisStoreError> {
        if let Some(connection) = self.idle().pop() {
            return Ok(connection);
        }
        // The time limit of the call is the only one.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    /// All connections are given up when one has broken: the others are likely to have broken in the same moment, and
    /// an idle one does not notice.
    fn disconnect(&self) {
        self.idle().clear();
        if let Some(listener) = &self.listener {
            listener.hang_up();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use, for a limited time.
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    deadline: Instant,
    pub(crate) replicas: usize,
    /// Whether commits are announced.
    pub(crate) announces: bool,
}

impl Link {
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A runtime with one thread, started when it is needed. It can be dropped anywhere, in an asynchronous function too.
#[derive(Default)]
struct Background(Mutex<Option<Runtime>>);

impl Background {
    fn handle(&self) -> io::Result<Handle> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = match place.take() {
            Some(runtime) => runtime,
            None => runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
        };
        Ok(place.insert(runtime).handle().clone())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}
