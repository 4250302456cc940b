use alloc::collections::VecDeque;
use core::mem;

use crate::WaiterId;

/// The callers who wait, in the order in which they came.
///
/// Ids count up, so one bit says whether a caller still waits, and each step takes the same time however many do.
/// There are bits for those who came since the oldest who still waits, and nobody waits for longer than a deadline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters {
    /// A bit for each id from `first` on.
    words: VecDeque<u64>,
    first: u64,
    /// The id of the latest caller.
    last: u64,
    len: usize,
}

impl Waiters {
    /// One more, unless `most` are waiting already (CORE-13).
    pub(crate) fn join(&mut self, most: usize) -> Option<WaiterId> {
        if self.len >= most {
            return None;
        }
        self.last = self.last.saturating_add(1);
        if self.words.is_empty() {
            self.first = self.last;
        }
        let (word, bit) = self.place(self.last)?;
        if word >= self.words.len() {
            self.words.push_back(0);
        }
        *self.words.get_mut(word)? |= bit;
        self.len = self.len.saturating_add(1);
        Some(WaiterId(self.last))
    }

    /// One less. Whether it was still waiting.
    pub(crate) fn leave(&mut self, waiter: WaiterId) -> bool {
        let Some((index, bit)) = self.place(waiter.0) else { return false };
        let Some(word) = self.words.get_mut(index) else { return false };
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        self.len = self.len.saturating_sub(1);
        self.trim();
        true
    }

    /// Takes out the one who has waited longest.
    pub(crate) fn pop(&mut self) -> Option<WaiterId> {
        let word = *self.words.front()?;
        let waiter = WaiterId(self.first.saturating_add(u64::from(word.trailing_zeros())));
        self.leave(waiter).then_some(waiter)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Detaches the whole queue before anybody in it is answered, so that a demand raised by an answer is a new one
    /// (CORE-06).
    pub(crate) fn detach(&mut self) -> Self {
        let last = self.last;
        mem::replace(self, Self { last, ..Self::default() })
    }

    /// In which word an id has which bit.
    fn place(&self, id: u64) -> Option<(usize, u64)> {
        let offset = id.checked_sub(self.first)?;
        Some((usize::try_from(offset / 64).ok()?, 1 << (offset % 64)))
    }

    /// Nobody waits who came before the first word that is not empty. A run of empty words was paid for by those who
    /// came.
    fn trim(&mut self) {
        while self.words.front() == Some(&0) {
            self.words.pop_front();
            self.first = self.first.saturating_add(64);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn core_13_whoever_came_first_is_first_and_whoever_left_is_not_there() {
        let (mut waiters, mut model, mut rng) = (Waiters::default(), BTreeSet::new(), Rng::new(1));
        for round in 0..20_000 {
            match rng.next() % 8 {
                0..4 => match waiters.join(300) {
                    Some(waiter) => {
                        assert!(model.last().is_none_or(|last| *last < waiter) && model.insert(waiter));
                    }
                    None => assert_eq!(model.len(), 300),
                },
                4 | 5 => {
                    let waiter = WaiterId(rng.next() % (waiters.last + 2));
                    assert_eq!(waiters.leave(waiter), model.remove(&waiter), "{waiter:?}");
                }
                6 => assert_eq!(waiters.pop(), model.pop_first()),
                _ if round % 50 == 0 => {
                    let mut detached = waiters.detach();
                    assert_eq!(detached.len(), model.len());
                    let all: Vec<_> = core::iter::from_fn(|| detached.pop()).collect();
                    assert!(all.into_iter().eq(mem::take(&mut model)));
                }
                _ => {}
            }
            assert_eq!(waiters.len(), model.len());
        }
    }

    #[test]
    fn core_13_callers_who_come_and_go_leave_nothing_behind() {
        let mut waiters = Waiters::default();
        let mut oldest = waiters.join(10).unwrap();
        for _ in 0..100_000 {
            let waiter = waiters.join(10).unwrap();
            assert!(waiters.leave(oldest));
            oldest = waiter;
            assert!(waiters.words.len() <= 2);
        }
    }
}
