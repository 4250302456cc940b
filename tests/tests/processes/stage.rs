//! Store and HTTP client of a child, with a stage on which it can be held or made to fail.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use token_refresh_core::{Body, SessionId};
use token_refresh_driver::{
    Attempt, CommitError, Record, Store, StoreError, Stored, Transport, TransportError, Version,
    store::{Document, LockFile},
};
use token_refresh_ureq::{
    UreqTransport,
    ureq::http::{Request, Response},
};

use crate::child::say;

/// Where this process has to stop or to fail, and how often it called the store.
#[derive(Default)]
pub(crate) struct Stage {
    orders: Mutex<BTreeMap<String, Order>>,
    changed: Condvar,
    pub(crate) loads: AtomicU64,
    pub(crate) commits: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The number tells one order from the next.
    Hold(u32),
    Fail,
}

impl Stage {
    /// Whoever is held there already goes on.
    pub(crate) fn hold(&self, point: &str) {
        self.change(|orders| {
            let number = match orders.get(point) {
                Some(Order::Hold(number)) => number + 1,
                _ => 0,
            };
            orders.insert(point.to_owned(), Order::Hold(number));
        });
    }

    pub(crate) fn fail(&self, point: &str) {
        self.change(|orders| {
            orders.insert(point.to_owned(), Order::Fail);
        });
    }

    pub(crate) fn release(&self, point: &str) {
        self.change(|orders| {
            orders.remove(point);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Order>)) {
        change(&mut self.orders.lock().unwrap());
        self.changed.notify_all();
    }

    /// Says that this process is there if it has an order, and obeys it. `false`: it has to fail.
    fn pass(&self, point: &str) -> bool {
        let orders = self.orders.lock().unwrap();
        let Some(order) = orders.get(point).copied() else { return true };
        say(&format!("at {point}"));
        if order == Order::Fail {
            return false;
        }
        let held = |orders: &mut BTreeMap<String, Order>| orders.get(point) == Some(&order);
        drop(self.changed.wait_while(orders, held).unwrap());
        true
    }

    fn is_ordered(&self, point: &str) -> bool {
        self.orders.lock().unwrap().contains_key(point)
    }
}

/// The store, with a stage before and behind it.
pub(crate) struct Staged {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) stage: Arc<Stage>,
    /// The identity and the serial of the record as seen last.
    pub(crate) seen: Mutex<Option<(SessionId, u64)>>,
    /// The file of the record, if it is one.
    pub(crate) file: Option<String>,
}

impl Store for Staged {
    fn load(&self) -> Result<Stored, StoreError> {
        self.stage.loads.fetch_add(1, Ordering::SeqCst);
        if !self.stage.pass("load:before") {
            return Err(StoreError);
        }
        let stored = self.inner.load()?;
        *self.seen.lock().unwrap() = stored.record.as_ref().map(|record| (record.session, record.serial));
        Ok(stored)
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        self.stage.commits.fetch_add(1, Ordering::SeqCst);
        let what = self.purpose(record);
        if !self.stage.pass(&format!("{what}:before")) {
            return Err(CommitError::Unavailable);
        }
        if self.stage.is_ordered(&format!("{what}:middle")) {
            self.write_half(expected, record, &format!("{what}:middle"));
        }
        let version = self.inner.commit(expected, record)?;
        *self.seen.lock().unwrap() = Some((record.session, record.serial));
        if !self.stage.pass(&format!("{what}:after")) {
            return Err(CommitError::Unavailable);
        }
        Ok(version)
    }
}

impl Staged {
    /// What a record is written for, as it can be told from the record.
    fn purpose(&self, record: &Record) -> &'static str {
        let known = *self.seen.lock().unwrap() == Some((record.session, record.serial));
        match &record.body {
            Body::SignedOut => "sign-out",
            _ if record.refused => "mark",
            _ if record.holder.is_some() => "claim",
            _ if known => "release",
            _ if record.born > 0 => "save",
            _ => "sign-in",
        }
    }

    /// What a file store has done in the middle of a commit: it holds the lock, the new version is given out, and the
    /// new text is half written beside the record.
    fn write_half(&self, expected: Version, record: &Record, point: &str) {
        let file = self.file.as_ref().unwrap();
        let mut held = LockFile::new(format!("{file}.lock")).hold(Duration::from_secs(1)).unwrap();
        let version = Version(expected.0 + 1);
        let text = Document::replacing(None, version, record.clone()).encode().unwrap();
        fs::write(format!("{file}.tmp"), &text[..text.len() / 2]).unwrap();
        held.give_out(version).unwrap();
        self.stage.pass(point);
        panic!("nobody comes back from here");
    }
}

/// The HTTP client, with a stage before and behind it.
pub(crate) struct StagedTransport {
    pub(crate) inner: UreqTransport,
    pub(crate) stage: Arc<Stage>,
}

impl Transport for StagedTransport {
    fn send(
        &self,
        request: Request<bytes::Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<bytes::Bytes>, TransportError> {
        if !self.stage.pass("send:before") {
            return Err(TransportError::NotSent);
        }
        let response = self.inner.send(request, attempt)?;
        if !self.stage.pass("send:after") {
            return Err(TransportError::Ambiguous);
        }
        Ok(response)
    }
}
