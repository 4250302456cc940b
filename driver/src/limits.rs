use std::collections::VecDeque;

use token_refresh_core::{Timestamp, WaiterId};

/// The time limits of all callers that are futures, in order. One timer serves them all, because a timer for each costs
/// more than everything else that a caller causes.
///
/// Callers that were answered are not looked for here: they are skipped when their turn comes. Most callers have the
/// same limit and come one after the other, so most of them are put at the end.
#[derive(Default)]
pub(crate) struct Limits(VecDeque<(Timestamp, Caller)>);

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// For a token.
    Demand(WaiterId),
    /// For the end of everything, in this place.
    Settled(u64),
}

impl Limits {
    /// So many may be here that no longer wait, before they are looked for.
    const SLACK: usize = 64;

    /// Adds one. `waiting` is how many wait in all: of those that do not, no more than so many are kept, and a few.
    pub(crate) fn insert(
        &mut self,
        until: Timestamp,
        caller: Caller,
        waiting: usize,
        waits: impl Fn(Caller) -> bool,
    ) {
        if self.0.len() > 2 * waiting + Self::SLACK {
            self.0.retain(|(_, caller)| waits(*caller));
        }
        let place = self.0.partition_point(|(other, _)| *other <= until);
        self.0.insert(place, (until, caller));
    }

    /// The first limit of a caller that still waits.
    pub(crate) fn first(&mut self, waits: impl Fn(Caller) -> bool) -> Option<Timestamp> {
        loop {
            match self.0.front() {
                Some((until, caller)) if waits(*caller) => return Some(*until),
                Some(_) => self.0.pop_front(),
                None => return None,
            };
        }
    }

    /// Takes out a caller whose time is over.
    pub(crate) fn next_over(&mut self, now: Timestamp) -> Option<Caller> {
        let (until, caller) = *self.0.front()?;
        (until <= now).then(|| {
            self.0.pop_front();
            caller
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn demand(number: u64) -> Caller {
        Caller::Demand(WaiterId(number))
    }

    fn with(limits: &[(u64, u64)]) -> Limits {
        let mut all = Limits::default();
        for (until, number) in limits {
            all.insert(at(*until), demand(*number), limits.len(), |_| true);
        }
        all
    }

    #[test]
    fn core_13_limits_end_in_their_own_order() {
        let mut limits = with(&[(5, 1), (9, 2), (3, 3), (5, 4)]);
        assert_eq!(limits.first(|_| true), Some(at(3)));
        let mut over = |now| std::iter::from_fn(|| limits.next_over(at(now))).collect::<Vec<_>>();
        assert_eq!(over(2), []);
        assert_eq!(over(5), [demand(3), demand(1), demand(4)]);
        assert_eq!(over(9), [demand(2)]);
    }

    #[test]
    fn the_first_limit_is_of_one_who_waits() {
        let mut limits = with(&[(3, 1), (5, 2), (9, 3)]);
        assert_eq!(limits.first(|caller| caller == demand(2)), Some(at(5)));
        assert_eq!(limits.first(|_| false), None);
    }

    #[test]
    fn core_14_callers_that_come_and_go_leave_nothing_behind() {
        let mut limits = with(&[(1, 0)]);
        for number in 1..10_000 {
            limits.insert(at(number), demand(number), 2, |caller| caller == demand(0));
            assert!(limits.0.len() <= 70, "{}", limits.0.len());
        }
        assert_eq!(limits.first(|caller| caller == demand(0)), Some(at(1)));
    }
}
