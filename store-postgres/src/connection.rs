use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{
    runtime::{self, Handle, Runtime},
    sync::Mutex,
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Socket,
    config::TargetSessionAttrs,
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
};

use crate::{PostgresError, PostgresStore, row};

/// One connection to a server, shared by all the credentials that it keeps. Clones are one connection.
///
/// It has a thread of its own, which waits for the server, so it can be used with any runtime and with none.
#[derive(Clone)]
pub struct Postgres {
    link: Arc<Link>,
    thread: Handle,
    _runtime: Arc<Background>,
}

/// The connection, if there is one, and how to make one.
struct Link {
    connect: Box<dyn Fn() -> Connecting + Send + Sync>,
    connected: Mutex<Option<Arc<Connected>>>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connected, PostgresError>> + Send>>;

pub(crate) struct Connected {
    pub(crate) client: Client,
    task: AbortHandle,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Postgres {
    /// The table, for whoever creates it by hand. To be run once; it does nothing if the table is there.
    pub const SCHEMA: &str = row::SCHEMA;

    /// How long a call may take, making the connection included. Also told to the server, so that a commit that waits
    /// for a row does not land much later.
    const LIMIT: Duration = Duration::from_millis(1500);

    /// A server, reached over a connection that `tls` makes safe. Connects when it is needed, not now.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn new<T>(mut config: Config, tls: T) -> io::Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        // A replica may answer before it has seen a commit that was answered, and takes none (rule 12).
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let connect = move || -> Connecting {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                // How it ends is seen by the next call.
                let task = tokio::spawn(async { drop(connection.await) }).abort_handle();
                let connected = Connected { client, task };
                row::prepare(&connected.client, Self::LIMIT).await?;
                Ok(connected)
            })
        };
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let link = Link { connect: Box::new(connect), connected: Mutex::default() };
        Ok(Self {
            link: Arc::new(link),
            thread: runtime.handle().clone(),
            _runtime: Arc::new(Background(Some(runtime))),
        })
    }

    /// Creates the table if it is not there. Blocks for at most 1.5 s.
    ///
    /// # Errors
    /// [`PostgresError`]
    pub fn create_table(&self) -> Result<(), PostgresError> {
        self.run(|connected| async move { row::create_table(&connected.client).await })
    }

    /// The credential of this name: one row.
    pub fn credential(&self, name: impl Into<String>) -> PostgresStore {
        PostgresStore::new(self.clone(), name.into())
    }

    /// Does something with the connection, and blocks until it is done or the time is over.
    pub(crate) fn run<T, F>(
        &self,
        operation: impl FnOnce(Arc<Connected>) -> F + Send + 'static,
    ) -> Result<T, PostgresError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PostgresError>> + Send,
    {
        let task = self.start(operation);
        let (answer, answered) = mpsc::sync_channel(1);
        self.thread.spawn(async move { answer.send(task.await) });
        answered.recv().map_or_else(|_| Err(ended()), |answer| answer.unwrap_or_else(|_| Err(ended())))
    }

    /// The same for whoever can await it.
    pub(crate) async fn run_async<T, F>(
        &self,
        operation: impl FnOnce(Arc<Connected>) -> F + Send + 'static,
    ) -> Result<T, PostgresError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PostgresError>> + Send,
    {
        self.start(operation).await.unwrap_or_else(|_| Err(ended()))
    }

    fn start<T, F>(
        &self,
        operation: impl FnOnce(Arc<Connected>) -> F + Send + 'static,
    ) -> JoinHandle<Result<T, PostgresError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PostgresError>> + Send,
    {
        let link = self.link.clone();
        self.thread.spawn(async move {
            let result = timeout(Self::LIMIT, async { operation(link.connected().await?).await }).await;
            let result = result.unwrap_or(Err(PostgresError::TimedOut));
            if let Err(error) = &result
                && is_about_the_connection(error)
            {
                link.disconnect().await;
            }
            result
        })
    }
}

/// A task panicked, or the thread is gone.
fn ended() -> PostgresError {
    PostgresError::Connection("the thread that waits for the server has ended".into())
}

/// What a new connection may mend: also a server that has become a replica.
fn is_about_the_connection(error: &PostgresError) -> bool {
    match error {
        PostgresError::Connection(_) | PostgresError::TimedOut => true,
        PostgresError::Refused { code, .. } => code == SqlState::READ_ONLY_SQL_TRANSACTION.code(),
        PostgresError::NoTable | PostgresError::Format(_) => false,
    }
}

impl Link {
    async fn connected(&self) -> Result<Arc<Connected>, PostgresError> {
        let mut place = self.connected.lock().await;
        if let Some(connected) = place.as_ref().filter(|connected| !connected.client.is_closed()) {
            return Ok(connected.clone());
        }
        let connected = Arc::new((self.connect)().await?);
        *place = Some(connected.clone());
        Ok(connected)
    }

    async fn disconnect(&self) {
        self.connected.lock().await.take();
    }
}

/// A runtime that can be dropped anywhere, in an asynchronous function too.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
