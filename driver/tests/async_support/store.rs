use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use token_refresh_driver::{
    AsyncStore, CommitError, Record, Store, StoreError, Stored, Version, store::MemoryStore,
};

use super::yield_now;

/// What a store in memory holds, and how it can be made to fail.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    store: MemoryStore,
    down: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    /// Who was in a call last.
    thread: Arc<Mutex<Option<std::thread::ThreadId>>>,
}

impl Memory {
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn set_panics(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
    }

    /// Only the async kind does.
    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    pub(crate) fn thread(&self) -> Option<std::thread::ThreadId> {
        *self.thread.lock().unwrap()
    }

    /// The refresh token that is stored.
    pub(crate) fn refresh_token(&self) -> Option<String> {
        match self.store.load().unwrap().record?.body {
            token_refresh_core::Body::Grant { grant, .. } => {
                grant.refresh_token().map(|token| token.expose().into())
            }
            token_refresh_core::Body::Vacant | token_refresh_core::Body::SignedOut => None,
        }
    }

    fn is_up(&self) -> bool {
        *self.thread.lock().unwrap() = Some(std::thread::current().id());
        assert!(!self.panics.load(Ordering::SeqCst), "the store panics, as the test asked for");
        !self.down.load(Ordering::SeqCst)
    }
}

/// The blocking kind.
impl Store for Memory {
    fn load(&self) -> Result<Stored, StoreError> {
        if self.is_up() { self.store.load() } else { Err(StoreError) }
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        if self.is_up() { self.store.commit(expected, record) } else { Err(CommitError::Unavailable) }
    }
}

/// The async kind, whose calls take their time. Clones are one store.
#[derive(Clone, Default)]
pub(crate) struct AsyncMemoryStore(pub(crate) Memory);

impl AsyncStore for AsyncMemoryStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        yield_now().await;
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.load()
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        yield_now().await;
        self.0.commit(expected, record)
    }
}
