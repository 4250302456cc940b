use std::{fmt, sync::Arc};

use token_refresh_core::Stored;
use token_refresh_driver::{
    CommitError, Record, Store, StoreError, Version,
    store::{Document, RowFormat, Seal},
};

use crate::{Redis, RedisStoreError, connection::Link, script};

/// One credential under a key.
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

    /// Encrypts the record. One that is not encrypted is not read any more.
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

    /// Whether the server can be reached and the key be read.
    ///
    /// # Errors
    /// [`RedisStoreError`]: what is wrong.
    pub fn check(&self) -> Result<(), RedisStoreError> {
        self.stored().map(drop)
    }

    fn stored(&self) -> Result<Stored, RedisStoreError> {
        let (version, document) = self.redis.run(|link| self.load_from(link))?;
        Ok(Stored { version, record: document.map(|document| document.record) })
    }

    /// `None` is a conflict.
    fn replace(&self, expected: Version, record: &Record) -> Result<Option<Version>, RedisStoreError> {
        self.redis.run(|link| {
            // For the members of other programs, which are kept. What decides is the comparison of the script.
            let (version, current) = self.load_from(link)?;
            if version != expected {
                return Ok(None);
            }
            let version = Version(expected.0.saturating_add(1));
            let text = self.format.encode(&Document::replacing(current.as_ref(), version, record.clone()))?;
            let written = script::commit(link, self.format.name(), expected, version, &text)?;
            Ok(written.then_some(version))
        })
    }

    fn load_from(&self, link: &mut Link<'_>) -> Result<(Version, Option<Document>), RedisStoreError> {
        let script::Stored { version, text } = script::load(link, self.format.name())?;
        let document = text.map(|text| self.format.decode(version, text.expose().as_bytes())).transpose()?;
        Ok((version, document))
    }
}

impl Store for RedisStore {
    fn load(&self) -> Result<Stored, StoreError> {
        self.stored().map_err(|error| {
            (self.on_error)(&error);
            StoreError
        })
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        match self.replace(expected, record) {
            Ok(version) => version.ok_or(CommitError::Conflict),
            Err(error) => {
                (self.on_error)(&error);
                Err(CommitError::Unavailable)
            }
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("key", &self.format.name()).finish_non_exhaustive()
    }
}
