//! What goes wrong: on the way to the servers and back, in the servers, and in the store.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use token_refresh_conformance::server::{AuthorizationServer, Cut, ResourceServer, Response, Step};
use token_refresh_driver::{CommitError, Record, Store, StoreError, Stored, Version, store::FileStore};

use crate::{lane::EXCHANGE_LIMIT, rng::Rng};

/// The scripts of the two servers.
pub(crate) struct Chaos(Rng);

impl Chaos {
    pub(crate) fn new(rng: Rng) -> Self {
        Self(rng)
    }

    /// Few steps are made ahead, so that the faults end when this is called no more.
    pub(crate) fn top_up(&mut self, auth: &AuthorizationServer, api: &ResourceServer) {
        auth.script((auth.unused_steps()..2).map(|_| self.exchange()));
        api.script((api.unused_steps()..32).map(|_| self.request()));
    }

    /// An exchange takes its time; one in fifteen goes wrong.
    fn exchange(&mut self) -> Step {
        let slow = Step::new().delay_before(self.0.between(0, 20)).delay_after(self.0.between(0, 20));
        match self.0.below(150) {
            0 => Step::new().cut(Cut::BeforeReading),
            1 => Step::new().cut(Cut::AfterHead),
            2 => slow.cut(Cut::BeforeProcessing),
            3 => slow.cut(Cut::AfterProcessing),
            4 => slow.cut(Cut::InBody(20)),
            5 => slow.edit(|_| Response::new(500)),
            6 => Step::new().delay_after(EXCHANGE_LIMIT + Duration::from_millis(300)),
            7 | 8 => slow.answer(Response::new(503).header("Retry-After", "0")),
            9 => slow.answer(Response::new(429).header("Retry-After", "1")),
            _ => slow,
        }
    }

    /// One request in thirty goes wrong; others are slow, so that their refusals are late.
    fn request(&mut self) -> Step {
        match self.0.below(240) {
            0 => Step::new().cut(Cut::BeforeReading),
            1 => Step::new().cut(Cut::AfterHead),
            2 => Step::new().cut(Cut::BeforeProcessing),
            3 => Step::new().cut(Cut::AfterProcessing),
            4 => Step::new().cut(Cut::InBody(5)),
            5 => Step::new().cut(Cut::AfterAnswer),
            6 | 7 => Step::new().answer(Response::new(503)),
            8..20 => Step::new().delay_after(self.0.between(0, 300)),
            20..32 => Step::new().delay_before(self.0.between(0, 100)),
            _ => Step::new(),
        }
    }
}

/// The file of a lane, on a bad day.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    file: FileStore,
    rng: Arc<Mutex<Rng>>,
    healthy: Arc<AtomicBool>,
}

impl FaultyStore {
    pub(crate) fn new(file: FileStore, rng: Rng) -> Self {
        Self { file, rng: Arc::new(Mutex::new(rng)), healthy: Arc::default() }
    }

    pub(crate) fn heal(&self) {
        self.healthy.store(true, Ordering::Relaxed);
    }

    /// Below 1000, and slow now and then.
    fn fate(&self) -> u64 {
        let (fate, delay) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            (rng.below(1000), rng.between(0, 100))
        };
        if self.healthy.load(Ordering::Relaxed) {
            return 999;
        }
        if (20..50).contains(&fate) {
            thread::sleep(delay);
        }
        fate
    }
}

impl Store for FaultyStore {
    fn load(&self) -> Result<Stored, StoreError> {
        if self.fate() < 5 { Err(StoreError) } else { self.file.load() }
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        match self.fate() {
            // Not written, and written; nobody is told which.
            0..5 => Err(CommitError::Unavailable),
            5..10 => self.file.commit(expected, record).and(Err(CommitError::Unavailable)),
            _ => self.file.commit(expected, record),
        }
    }
}
