use std::sync::{Arc, PoisonError};

use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};

use crate::{Store, sync::Mutex};

/// A store in memory. Clones are one store, so sessions of one process can share it; nothing survives the process.
/// For tests and examples.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Stored>>);

impl MemoryStore {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Stored, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.version != expected {
            return Err(CommitError::Conflict);
        }
        *stored = Stored { version: Version(expected.0.saturating_add(1)), record: Some(record.clone()) };
        Ok(stored.version)
    }
}
