//! When the whole program got no processor.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

/// Watched for as long as there is one. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Stalls(Arc<Mutex<Vec<(Instant, Instant)>>>);

impl Stalls {
    pub(crate) fn watch() -> Self {
        const PAUSE: Duration = Duration::from_millis(50);
        const LATE: Duration = Duration::from_millis(300);
        let stalls = Self::default();
        let known = Arc::downgrade(&stalls.0);
        thread::spawn(move || {
            loop {
                let begin = Instant::now();
                thread::sleep(PAUSE);
                let Some(known) = Weak::upgrade(&known) else { return };
                if begin.elapsed() > PAUSE + LATE {
                    let stall = (begin + PAUSE, Instant::now());
                    known.lock().unwrap_or_else(PoisonError::into_inner).push(stall);
                }
            }
        });
        stalls
    }

    pub(crate) fn any(&self, from: Instant, to: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|(begin, end)| *begin < to && from < *end)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
