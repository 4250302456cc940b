use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};

use crate::{AsyncStore, Store};

/// Stores in memory for a great many credentials, one for each key: what [`Sessions`](crate::Sessions) let go of is kept
/// here, in little more memory than its tokens take. Clones are one table; nothing survives the process.
pub struct MemoryTable<K>(Arc<Mutex<Table<K>>>);

struct Table<K> {
    /// Boxed, since a hash table keeps room for more entries than it has.
    stored: HashMap<K, Box<Stored>>,
    /// Above the version of everything that was removed: a version is never used again, and a removal is a change, too
    /// (rule 1).
    floor: Version,
}

impl<K: Clone + Eq + Hash> MemoryTable<K> {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of this key.
    pub fn store(&self, key: K) -> MemoryTableStore<K> {
        MemoryTableStore { table: self.clone(), key }
    }

    /// Forgets what is stored for this key. A signed-out session leaves a mark of a few hundred bytes behind, so that no
    /// refresh that is still under way brings it back; remove it when the key will not be used any more.
    pub fn remove(&self, key: &K) {
        let mut table = self.lock();
        if let Some(stored) = table.stored.remove(key) {
            table.floor = table.floor.max(Version(stored.version.0.saturating_add(1)));
        }
    }

    /// How many credentials are stored, the marks of signed-out sessions included.
    pub fn len(&self) -> usize {
        self.lock().stored.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K> MemoryTable<K> {
    /// Nothing panics under the lock but the key's own code, which leaves a table that is whole.
    fn lock(&self) -> MutexGuard<'_, Table<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Clone for MemoryTable<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for MemoryTable<K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Table { stored: HashMap::new(), floor: Version::default() })))
    }
}

impl<K> fmt::Debug for MemoryTable<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").field("len", &self.lock().stored.len()).finish()
    }
}

/// The store of one key of a [`MemoryTable`], for blocking and for async sessions.
pub struct MemoryTableStore<K> {
    table: MemoryTable<K>,
    key: K,
}

impl<K: Clone + Eq + Hash + Send + Sync> Store for MemoryTableStore<K> {
    fn load(&self) -> Result<Stored, StoreError> {
        let table = self.table.lock();
        let absent = || Stored { version: table.floor, record: None };
        Ok(table.stored.get(&self.key).map_or_else(absent, |stored| Stored::clone(stored)))
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let mut table = self.table.lock();
        let version = table.stored.get(&self.key).map_or(table.floor, |stored| stored.version);
        if version != expected {
            return Err(CommitError::Conflict);
        }
        let stored = Stored { version: Version(version.0.saturating_add(1)), record: Some(record.clone()) };
        let version = stored.version;
        table.stored.insert(self.key.clone(), Box::new(stored));
        Ok(version)
    }
}

/// The same at once: nothing here waits.
impl<K: Clone + Eq + Hash + Send + Sync> AsyncStore for MemoryTableStore<K> {
    async fn load(&self) -> Result<Stored, StoreError> {
        Store::load(self)
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        Store::commit(self, expected, record)
    }
}

impl<K> fmt::Debug for MemoryTableStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTableStore").finish_non_exhaustive()
    }
}
