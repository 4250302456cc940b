use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{Client, Connection};

use crate::{RedisStore, RedisStoreError};

/// A server, and the connections to it that are not in use now. Shared by all the credentials that it keeps; clones
/// share them too.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    idle: Arc<Mutex<Vec<Connection>>>,
    replicas: usize,
}

impl Redis {
    /// How long a call may take, making the connection included.
    const LIMIT: Duration = Duration::from_millis(1500);

    /// Connects when it is needed, not now.
    pub fn new(client: Client) -> Self {
        Self { client, idle: Arc::default(), replicas: 0 }
    }

    /// A commit counts only once so many replicas have it. Default: 0. See "When Redis forgets".
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The credential under this key.
    pub fn credential(&self, key: impl Into<String>) -> RedisStore {
        RedisStore::new(self.clone(), key.into())
    }

    /// Does something with a connection. If that fails all connections are given up: the others are likely to have
    /// broken in the same moment, and an idle one does not notice.
    pub(crate) fn run<T>(
        &self,
        operation: impl FnOnce(&mut Link<'_>) -> Result<T, RedisStoreError>,
    ) -> Result<T, RedisStoreError> {
        let deadline = Instant::now() + Self::LIMIT;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.client.get_connection_with_timeout(Self::LIMIT)?,
        };
        let mut link = Link { connection: &mut connection, deadline, replicas: self.replicas };
        let result = operation(&mut link);
        match &result {
            Ok(_) | Err(RedisStoreError::Format(_)) => self.idle().push(connection),
            Err(_) => self.idle().clear(),
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use, for a limited time.
pub(crate) struct Link<'a> {
    connection: &'a mut Connection,
    deadline: Instant,
    pub(crate) replicas: usize,
}

impl Link<'_> {
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The connection, set to end whatever it does in time.
    pub(crate) fn in_time(&mut self) -> Result<&mut Connection, RedisStoreError> {
        let left = self.time_left();
        if left.is_zero() {
            return Err(RedisStoreError::TimedOut);
        }
        self.connection.set_read_timeout(Some(left))?;
        self.connection.set_write_timeout(Some(left))?;
        Ok(self.connection)
    }
}
