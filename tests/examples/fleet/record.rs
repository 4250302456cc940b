//! Looks at the record again and again, as a program that shares it does: it is never torn and never goes back.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use token_refresh_driver::{Record, Store, Stored};

use crate::{evidence::Evidence, place::Place};

/// Dropping it ends the watch.
pub(crate) struct Watch {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Stored>>,
}

impl Watch {
    pub(crate) fn start(place: &Place, evidence: Arc<Evidence>) -> Result<Self, Box<dyn Error>> {
        let teller = Arc::clone(&evidence);
        let store =
            place.open(move |error| teller.violation(format!("the record cannot be read: {error}")))?;
        let end = Arc::<AtomicBool>::default();
        let told = Arc::clone(&end);
        let thread = thread::spawn(move || watch(&*store, &evidence, &told));
        Ok(Self { end, thread: Some(thread) })
    }

    /// What was seen last.
    pub(crate) fn end(mut self) -> Stored {
        self.end.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn watch(store: &dyn Store, evidence: &Evidence, end: &AtomicBool) -> Stored {
    let mut last = Stored::default();
    while !end.load(Ordering::Relaxed) {
        // Unavailable is no violation: a worker may have been stopped in the middle of a commit.
        if let Ok(stored) = store.load() {
            if let Some(what) = goes_back(&last, &stored) {
                evidence.violation(what);
            }
            last = stored;
        }
        thread::sleep(Duration::from_millis(10));
    }
    last
}

fn goes_back(last: &Stored, stored: &Stored) -> Option<String> {
    let (old, new) = (last.version.0, stored.version.0);
    if new < old {
        return Some(format!("the record went back from version {old} to {new}"));
    }
    match (&last.record, &stored.record) {
        (Some(before), Some(after)) if new == old && before != after => {
            Some(format!("version {new} of the record is two different records"))
        }
        (Some(before), Some(after)) if is_older(after, before) => {
            Some(format!("the record went back from serial {} to {}", before.serial, after.serial))
        }
        (Some(_), None) => Some(format!("version {new} of the record is gone")),
        _ => None,
    }
}

/// Of one identity, the serial says how new a record is.
fn is_older(one: &Record, other: &Record) -> bool {
    one.session == other.session && one.serial < other.serial
}
