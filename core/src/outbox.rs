use alloc::{collections::VecDeque, sync::Arc};

use crate::{Action, Effect, Notice, Outcome, Snapshot, waiters::Waiters};

/// What the driver has yet to be told. Effects come last, whatever the order in which they arose, so that callers are
/// served before work begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    said: VecDeque<Said>,
    effects: VecDeque<Effect>,
}

/// A hundred thousand waiters are one entry here.
#[derive(Clone, Debug)]
enum Said {
    Publish(Option<Arc<Snapshot>>),
    Resolve(Waiters, Outcome),
    Notify(Notice),
}

impl Outbox {
    pub(crate) fn publish(&mut self, snapshot: Option<Arc<Snapshot>>) {
        self.said.push_back(Said::Publish(snapshot));
    }

    pub(crate) fn resolve(&mut self, waiters: Waiters, outcome: Outcome) {
        self.said.push_back(Said::Resolve(waiters, outcome));
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.said.push_back(Said::Notify(notice));
    }

    pub(crate) fn run(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        while let Some(said) = self.said.front_mut() {
            if let Said::Resolve(waiters, outcome) = said
                && let Some(waiter) = waiters.pop()
            {
                return Some(Action::Resolve { waiter, outcome: outcome.clone() });
            }
            match self.said.pop_front()? {
                Said::Publish(snapshot) => return Some(Action::Publish(snapshot)),
                Said::Notify(notice) => return Some(Action::Notify(notice)),
                Said::Resolve(..) => {}
            }
        }
        self.effects.pop_front().map(Action::Run)
    }
}
