use std::{fmt, sync::Arc};

use token_refresh_core::Stored;
use token_refresh_driver::{
    AsyncStore, Changed, CommitError, Record, Store, StoreError, Version,
    store::{Document, RowFormat, Seal},
};

use crate::{Redis, RedisStoreError, connection::Link, script};

/// One credential under a key: a store for blocking and for async sessions.
#[derive(Clone)]
pub struct RedisStore {
    redis: Redis,
    format: RowFormat,
    on_error: Arc<dyn Fn(&RedisStoreError) + Send + Sync>,
}

impl RedisStore {
    pub(crate) fn new(redis: Redis, key: String) -> Self {
        Self { redis, format: RowFormat::new(key, None), on_error: Arc::new(|_| {}) }
    }

    /// Encrypts the record (SEC-05). One that is not encrypted is not read any more: that is a
    /// [`RedisStoreError::Format`].
    #[must_use]
    pub fn sealed(mut self, seal: Seal) -> Self {
        self.format = RowFormat::new(self.format.name(), Some(seal));
        self
    }

    /// Calls `observer` with every error of a later [`load`](Store::load) or [`commit`](Store::commit), of which a
    /// session learns no more than "unavailable". While a session waits that can be several times a second.
    #[must_use]
    pub fn on_error(mut self, observer: impl Fn(&RedisStoreError) + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(observer);
        self
    }

    /// Whether the server can be reached and the key be read. Makes the key, without a record, if there is none. Blocks
    /// for at most 1.5 s.
    ///
    /// # Errors
    /// [`RedisStoreError`]: what is wrong.
    pub fn check(&self) -> Result<(), RedisStoreError> {
        self.stored().map(drop)
    }

    fn stored(&self) -> Result<Stored, RedisStoreError> {
        let format = self.format.clone();
        self.redis.run(|link| load(link, format))
    }

    fn loaded(&self, result: Result<Stored, RedisStoreError>) -> Result<Stored, StoreError> {
        result.inspect_err(|error| (self.on_error)(error)).map_err(|_| StoreError)
    }

    fn committed(&self, result: Result<Option<Version>, RedisStoreError>) -> Result<Version, CommitError> {
        match result.inspect_err(|error| (self.on_error)(error)) {
            Ok(version) => version.ok_or(CommitError::Conflict),
            Err(_) => Err(CommitError::Unavailable),
        }
    }
}

/// Blocks for at most 1.5 s.
impl Store for RedisStore {
    fn load(&self) -> Result<Stored, StoreError> {
        self.loaded(self.stored())
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let (format, record) = (self.format.clone(), record.clone());
        self.committed(self.redis.run(move |link| commit(link, format, expected, record)))
    }

    fn changed(&self) -> Changed {
        self.redis.changed(self.format.name())
    }
}

/// On any runtime.
///
/// # Cancel safety
/// What was begun goes on when the future is dropped: a commit may take place or not.
impl AsyncStore for RedisStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        let format = self.format.clone();
        self.loaded(self.redis.run_async(|link| load(link, format)).await)
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let (format, record) = (self.format.clone(), record.clone());
        let commit = move |link| commit(link, format, expected, record);
        self.committed(self.redis.run_async(commit).await)
    }

    fn changed(&self) -> Changed {
        self.redis.changed(self.format.name())
    }
}

async fn load(mut link: Link, format: RowFormat) -> Result<Stored, RedisStoreError> {
    let (version, document) = read(&mut link, &format).await?;
    Ok(Stored { version, record: document.map(|document| document.record) })
}

/// `None` is a conflict.
async fn commit(
    mut link: Link,
    format: RowFormat,
    expected: Version,
    record: Record,
) -> Result<Option<Version>, RedisStoreError> {
    // For the members of other programs, which are kept. What decides is the comparison of the script.
    let (version, current) = read(&mut link, &format).await?;
    if version != expected {
        return Ok(None);
    }
    let version = Version(expected.0.saturating_add(1));
    let text = format.encode(&Document::replacing(current.as_ref(), version, record))?;
    let written = script::commit(&mut link, format.name(), expected, version, &text).await?;
    Ok(written.then_some(version))
}

async fn read(link: &mut Link, format: &RowFormat) -> Result<(Version, Option<Document>), RedisStoreError> {
    let script::Stored { version, text } = script::load(link, format.name()).await?;
    let document = text.map(|text| format.decode(version, text.expose().as_bytes())).transpose()?;
    Ok((version, document))
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("key", &self.format.name()).finish_non_exhaustive()
    }
}
