use alloc::collections::BTreeSet;
use core::mem;

use crate::WaiterId;

/// The callers who wait, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters {
    queue: BTreeSet<WaiterId>,
    last: u64,
}

impl Waiters {
    /// One more, unless `most` are waiting already (CORE-13).
    pub(crate) fn join(&mut self, most: usize) -> Option<WaiterId> {
        if self.queue.len() >= most {
            return None;
        }
        self.last = self.last.saturating_add(1);
        let waiter = WaiterId(self.last);
        self.queue.insert(waiter);
        Some(waiter)
    }

    /// One less. Whether it was still waiting.
    pub(crate) fn leave(&mut self, waiter: WaiterId) -> bool {
        self.queue.remove(&waiter)
    }

    /// Detaches the whole queue before anybody in it is answered, so that a demand raised by an answer is a new one
    /// (CORE-06).
    pub(crate) fn detach(&mut self) -> BTreeSet<WaiterId> {
        mem::take(&mut self.queue)
    }
}
