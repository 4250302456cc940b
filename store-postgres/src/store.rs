use std::{fmt, sync::Arc};

use token_refresh_core::Stored;
use token_refresh_driver::{
    AsyncStore, Changed, CommitError, Record, Store, StoreError, Version,
    store::{Document, FormatError, RowFormat, Seal},
};

use crate::{Postgres, PostgresError, connection::Connected, row};

/// One credential in a row of a table: a store for blocking and for async sessions.
#[derive(Clone)]
pub struct PostgresStore {
    postgres: Postgres,
    format: RowFormat,
    on_error: Arc<dyn Fn(&PostgresError) + Send + Sync>,
}

impl PostgresStore {
    pub(crate) fn new(postgres: Postgres, name: String) -> Self {
        Self { postgres, format: RowFormat::new(name, None), on_error: Arc::new(|_| {}) }
    }

    /// Encrypts the record (SEC-05). A row that is not encrypted is not read any more: that is a
    /// [`PostgresError::Format`].
    #[must_use]
    pub fn sealed(mut self, seal: Seal) -> Self {
        self.format = RowFormat::new(self.format.name(), Some(seal));
        self
    }

    /// Calls `observer` with every error of a later [`load`](Store::load) or [`commit`](Store::commit), of which a
    /// session learns no more than "unavailable". While a session waits that can be several times a second.
    #[must_use]
    pub fn on_error(mut self, observer: impl Fn(&PostgresError) + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(observer);
        self
    }

    /// Whether the server can be reached and the row be read. Makes the row, empty, if there is none. Blocks for at most
    /// 1.5 s.
    ///
    /// # Errors
    /// [`PostgresError`]: what is wrong.
    pub fn check(&self) -> Result<(), PostgresError> {
        self.stored().map(drop)
    }

    fn stored(&self) -> Result<Stored, PostgresError> {
        let format = self.format.clone();
        self.postgres.run(|connected| load(connected, format))
    }

    fn loaded(&self, result: Result<Stored, PostgresError>) -> Result<Stored, StoreError> {
        result.inspect_err(|error| (self.on_error)(error)).map_err(|_| StoreError)
    }

    fn committed(&self, result: Result<Option<Version>, PostgresError>) -> Result<Version, CommitError> {
        match result.inspect_err(|error| (self.on_error)(error)) {
            Ok(version) => version.ok_or(CommitError::Conflict),
            Err(_) => Err(CommitError::Unavailable),
        }
    }
}

/// Blocks for at most 1.5 s.
impl Store for PostgresStore {
    fn load(&self) -> Result<Stored, StoreError> {
        self.loaded(self.stored())
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let (format, record) = (self.format.clone(), record.clone());
        self.committed(self.postgres.run(move |connected| commit(connected, format, expected, record)))
    }

    fn changed(&self) -> Changed {
        self.postgres.changed(self.format.name())
    }
}

/// On any runtime.
///
/// # Cancel safety
/// What was begun goes on when the future is dropped: a commit may take place or not.
impl AsyncStore for PostgresStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        let format = self.format.clone();
        self.loaded(self.postgres.run_async(|connected| load(connected, format)).await)
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let (format, record) = (self.format.clone(), record.clone());
        let commit = move |connected| commit(connected, format, expected, record);
        self.committed(self.postgres.run_async(commit).await)
    }

    fn changed(&self) -> Changed {
        self.postgres.changed(self.format.name())
    }
}

async fn load(connected: Arc<Connected>, format: RowFormat) -> Result<Stored, PostgresError> {
    let (version, document) = read(&connected, &format).await?;
    Ok(Stored { version, record: document.map(|document| document.record) })
}

/// `None` is a conflict.
async fn commit(
    connected: Arc<Connected>,
    format: RowFormat,
    expected: Version,
    record: Record,
) -> Result<Option<Version>, PostgresError> {
    // For the members of other programs, which are kept. What decides is the comparison of the update.
    let (version, current) = read(&connected, &format).await?;
    if version != expected {
        return Ok(None);
    }
    let version = Version(expected.0.saturating_add(1));
    let text = format.encode(&Document::replacing(current.as_ref(), version, record))?;
    let text = str::from_utf8(&text).map_err(|_| FormatError::NotARecord)?;
    let written = row::commit(&connected, format.name(), expected, text).await?;
    Ok(written.then_some(version))
}

async fn read(
    connected: &Connected,
    format: &RowFormat,
) -> Result<(Version, Option<Document>), PostgresError> {
    let row::Stored { version, text } = row::load(&connected.client, format.name()).await?;
    let document = text.map(|text| format.decode(version, text.expose().as_bytes())).transpose()?;
    Ok((version, document))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("name", &self.format.name()).finish_non_exhaustive()
    }
}
