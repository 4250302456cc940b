//! A store in memory that says when its record changed, and can be made to say so without a reason.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use token_refresh_driver::{
    AsyncStore, Changed, CommitError, Record, Store, StoreError, Stored, Version, store::MemoryStore,
};
use tokio::sync::broadcast;

/// Clones are one store.
#[derive(Clone)]
pub(crate) struct Announcing {
    kept: MemoryStore,
    loads: Arc<AtomicUsize>,
    changes: broadcast::Sender<()>,
}

impl Default for Announcing {
    fn default() -> Self {
        Self { kept: MemoryStore::new(), loads: Arc::default(), changes: broadcast::Sender::new(1) }
    }
}

impl Announcing {
    pub(crate) fn announce(&self) {
        // Perhaps nobody listens.
        let _ = self.changes.send(());
    }

    pub(crate) fn listeners(&self) -> usize {
        self.changes.receiver_count()
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// How often the refresh token may have been presented.
    pub(crate) fn presented(&self) -> u32 {
        self.kept.load().unwrap().record.unwrap().presented
    }
}

impl Store for Announcing {
    fn load(&self) -> Result<Stored, StoreError> {
        let stored = self.kept.load();
        self.loads.fetch_add(1, Ordering::SeqCst);
        stored
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let committed = self.kept.commit(expected, record);
        self.announce();
        committed
    }

    fn changed(&self) -> Changed {
        let mut changes = self.changes.subscribe();
        Changed::when(async move { drop(changes.recv().await) })
    }
}

impl AsyncStore for Announcing {
    async fn load(&self) -> Result<Stored, StoreError> {
        Store::load(self)
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        Store::commit(self, expected, record)
    }

    fn changed(&self) -> Changed {
        Store::changed(self)
    }
}
