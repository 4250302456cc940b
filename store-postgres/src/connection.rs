use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use token_refresh_driver::Changed;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{self, Handle, Runtime},
    sync::{Mutex, broadcast},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Socket,
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
    connect: Arc<Connect>,
    connected: Mutex<Option<Arc<Connected>>>,
    changes: Option<Changes>,
}

type Connect = dyn Fn(Option<Changes>) -> Connecting + Send + Sync;

type Connecting = Pin<Box<dyn Future<Output = Result<Connected, PostgresError>> + Send>>;

/// The names of credentials that the server says have changed. Whoever does not keep up misses some, and is told so.
type Changes = broadcast::Sender<String>;

pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Whether commits are announced, and the announcements of others heard.
    pub(crate) notifying: bool,
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

    /// A server, reached over a connection that `tls` makes safe. Connects when it is needed, not now, and only to a
    /// primary, whatever `config` says.
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
        let connect = move |changes: Option<Changes>| -> Connecting {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                let notifying = changes.is_some();
                let task = tokio::spawn(attend(connection, changes)).abort_handle();
                let connected = Connected { client, notifying, task };
                row::prepare(&connected.client, Self::LIMIT).await?;
                if notifying {
                    row::listen(&connected.client).await?;
                }
                Ok(connected)
            })
        };
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self {
            link: Link::new(Arc::new(connect), None),
            thread: runtime.handle().clone(),
            _runtime: Arc::new(Background(Some(runtime))),
        })
    }

    /// The same server over another connection, on which commits are announced (`NOTIFY`) and the announcements of
    /// others are heard (`LISTEN`): a session that waits for another process then loads when there is something new,
    /// and not only at the end of its pause, of up to 0.5 s. Nothing depends on it. See
    /// [Notifications](crate#notifications).
    #[must_use]
    pub fn notifying(self) -> Self {
        // A session that waits needs the last one alone; a few more are for several credentials.
        let changes = broadcast::Sender::new(16);
        Self { link: Link::new(self.link.connect.clone(), Some(changes)), ..self }
    }

    /// Creates the table if it is not there. Blocks for at most 1.5 s.
    ///
    /// # Errors
    /// [`PostgresError`]
    pub fn create_table(&self) -> Result<(), PostgresError> {
        self.run(|connected| async move { row::create_table(&connected.client).await })
    }

    /// The credential of this name: one row. Whoever takes the same name, in any process, shares it.
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

    /// Ready once the server announces a change of this credential.
    pub(crate) fn changed(&self, name: &str) -> Changed {
        let Some(changes) = &self.link.changes else { return Changed::never() };
        let (mut changes, name) = (changes.subscribe(), row::announced(name).to_owned());
        Changed::when(async move { while changes.recv().await.is_ok_and(|other| other != name) {} })
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

/// Keeps a connection going, and hands on what the server says by itself. How it ends is seen by the next call.
async fn attend<S, T>(mut connection: Connection<S, T>, changes: Option<Changes>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let (AsyncMessage::Notification(said), Some(changes)) = (message, &changes) {
            // Perhaps nobody waits.
            let _ = changes.send(said.payload().into());
        }
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
    fn new(connect: Arc<Connect>, changes: Option<Changes>) -> Arc<Self> {
        Arc::new(Self { connect, connected: Mutex::default(), changes })
    }

    async fn connected(&self) -> Result<Arc<Connected>, PostgresError> {
        let mut place = self.connected.lock().await;
        if let Some(connected) = place.as_ref().filter(|connected| !connected.client.is_closed()) {
            return Ok(connected.clone());
        }
        let connected = Arc::new((self.connect)(self.changes.clone()).await?);
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
