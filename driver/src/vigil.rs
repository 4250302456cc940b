use std::sync::Arc;

use token_refresh_core::Timestamp;

use crate::engine::Engine;

/// The watch over what is owed to a shared store: it has to be paid even if no caller ever comes again (rule 8 of the
/// claim protocol). There is at most one for a session, and only while something is owed.
///
/// Whoever keeps it calls [`next`](Self::next), waits until the instant that it says, and calls again, until `None`.
/// Dropping it before that lets the next call of the session set up another.
pub(crate) struct Vigil(Option<Arc<Engine>>);

impl Vigil {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self(Some(engine))
    }

    /// Begins to pay what is due. When to call again; `None` if there is nothing more to watch.
    pub(crate) fn next(&mut self) -> Option<Timestamp> {
        let owed = self.0.as_ref()?.call(|inner, now| {
            inner.tick(now);
            inner.relieve()
        });
        if owed.is_none() {
            self.0 = None;
        }
        owed
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if let Some(engine) = self.0.take() {
            engine.unwatched();
        }
    }
}
