//! A model of a shared store: one record under a version, replaced by compare-and-set.

use crate::vocabulary::Record;

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    writes: Vec<Write>,
}

/// One commit that succeeded.
#[derive(Clone, Debug)]
pub struct Write {
    /// By which process.
    pub process: u8,
    /// How many calls of machines had been made before.
    pub position: usize,
    /// What was written.
    pub record: Record,
}

impl Store {
    /// The version in force.
    pub fn version(&self) -> u64 {
        self.writes.len() as u64
    }

    /// What is stored.
    pub fn current(&self) -> (u64, Option<Record>) {
        (self.version(), self.writes.last().map(|write| write.record.clone()))
    }

    /// What was stored before the last commit: what a load may yield that is stale.
    pub fn previous(&self) -> (u64, Option<Record>) {
        let before = self.writes.len().saturating_sub(1);
        let record = before.checked_sub(1).and_then(|index| self.writes.get(index));
        (before as u64, record.map(|write| write.record.clone()))
    }

    /// Replaces the record if `expected` is in force; the new version, or `None`: a conflict.
    pub fn commit(&mut self, expected: u64, write: Write) -> Option<u64> {
        (expected == self.version()).then(|| {
            self.writes.push(write);
            self.version()
        })
    }

    /// All commits that succeeded; the first made version 1.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }
}
