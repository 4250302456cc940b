//! One process of a small world: a machine, and what its driver and its callers know.

use super::server::{Rt, refresh_of};
use super::setting::Setting;
use crate::machine::Machine;
use crate::rng::Rng;
use crate::{
    Acquire, Action, Effect, Epoch, Event, ExchangeError, Grant, Record, SessionId, Ticket, Timestamp,
    TokenId, Version, WaiterId,
};

#[derive(Clone)]
pub(super) struct Process {
    pub(super) machine: Machine,
    pub(super) known: Known,
}

/// What an observer of the machine remembers; part of the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What callers read without asking.
    pub(super) cell: Option<TokenId>,
    /// The newest token that was published, and the one before it, of this epoch.
    pub(super) newest: Option<TokenId>,
    pub(super) before: Option<TokenId>,
    pub(super) waiting: Vec<Waiter>,
    pub(super) out: Vec<Out>,
    pub(super) paused: bool,
    pub(super) demands: u8,
    /// Refresh tokens that were refused to it.
    pub(super) refused: Vec<Rt>,
    /// The newest record that it read or wrote.
    pub(super) read: Option<(SessionId, u64, Rt)>,
    /// The store did not say what is in it, or took no commit, and was not looked at since.
    pub(super) blind: bool,
    /// A grant in hand is used though it is not saved, and observers know.
    pub(super) delayed: bool,
    /// The latest starts of exchanges.
    pub(super) starts: Vec<Timestamp>,
    /// No start before.
    pub(super) not_before: Timestamp,
    /// Fresh tokens in a row that were refused and never accepted, and when the last was.
    pub(super) fruitless: u8,
    pub(super) fruitless_at: Timestamp,
    pub(super) fresh: bool,
    /// It is just being told what an ended session fetched.
    pub(super) heard_orphan: bool,
    /// It has ended a session by a sign-in or a sign-out.
    pub(super) left: bool,
    /// When it issued its last claim.
    pub(super) claimed_at: Timestamp,
    /// The sessions it was told to end; any, if it knew none.
    pub(super) ends_any: bool,
    pub(super) ended: Vec<SessionId>,
}

#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) id: WaiterId,
    pub(super) refused: Option<TokenId>,
    pub(super) epoch: Epoch,
}

/// An effect that is out.
#[derive(Clone, Debug)]
pub(super) struct Out {
    pub(super) ticket: Ticket,
    pub(super) epoch: Epoch,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Load {
        not_before: Timestamp,
    },
    Commit {
        expected: Version,
        record: Box<Record>,
    },
    Exchange {
        rt: Rt,
        send_by: Timestamp,
    },
    /// The request may leave any time; nobody looks at the clock again.
    Checked {
        rt: Rt,
    },
    /// The answer is there to be read.
    Arrived {
        rt: Rt,
        result: Result<Box<Grant>, ExchangeError>,
        hurries: bool,
    },
    /// Nothing will come; the driver says so then.
    Silent {
        rt: Rt,
        until: Timestamp,
    },
    /// Nobody will ever say anything.
    Vanished,
}

impl What {
    /// The refresh token that is presented.
    pub(super) fn rt(&self) -> Option<Rt> {
        match self {
            Self::Exchange { rt, .. }
            | Self::Checked { rt }
            | Self::Arrived { rt, .. }
            | Self::Silent { rt, .. } => Some(*rt),
            Self::Load { .. } | Self::Commit { .. } | Self::Vanished => None,
        }
    }

    /// From when on somebody works on it who takes no time; `None`: whenever it pleases, or never.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Load { not_before } => Some(*not_before),
            Self::Silent { until, .. } => Some(*until),
            Self::Commit { .. } | Self::Exchange { .. } | Self::Arrived { hurries: true, .. } => {
                Some(Timestamp::ZERO)
            }
            Self::Checked { .. } | Self::Arrived { hurries: false, .. } | Self::Vanished => None,
        }
    }
}

/// A call of the machine.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Acquire,
    Reject(TokenId),
    Cancel(WaiterId),
    SignIn(Grant, u64),
    SignOut,
    Event(Event),
    Timeout,
}

/// What a call answered, and what came out of it.
pub(super) struct Reply {
    pub(super) acquire: Option<Acquire>,
    pub(super) misuse: bool,
    pub(super) actions: Vec<Action>,
}

impl Process {
    /// `life` counts all starts of all processes.
    pub(super) fn start(setting: &Setting, life: u64, now: Timestamp) -> Self {
        let machine = Machine::new(setting.config(), 77 + life, now).expect("a setting is usable");
        Self { machine, known: Known { demands: setting.demands, ..Known::default() } }
    }

    pub(super) fn call(&mut self, call: &Call, now: Timestamp) -> Reply {
        let machine = &mut self.machine;
        // No draw depends on an earlier one, so that chance is no part of a state.
        machine.rng = Rng::new(longest_draw());
        let (mut acquire, mut misuse) = (None, false);
        match call {
            Call::Acquire => acquire = Some(machine.acquire(now)),
            Call::Reject(id) => acquire = Some(machine.reject(*id, now)),
            Call::Cancel(waiter) => {
                machine.cancel(*waiter);
            }
            Call::SignIn(grant, draw) => {
                machine.rng = Rng::new(*draw);
                machine.sign_in(grant.clone(), now);
            }
            Call::SignOut => machine.sign_out(now),
            Call::Event(event) => misuse = machine.handle_event(event.clone(), now).is_err(),
            Call::Timeout => machine.handle_timeout(now),
        }
        let actions = std::iter::from_fn(|| machine.poll_action()).collect();
        Reply { acquire, misuse, actions }
    }

    /// The refresh token of the grant in hand, with what was spent for it.
    pub(super) fn in_hand(&self) -> Option<(Option<SessionId>, u64, Rt)> {
        let unsaved = self.machine.unsaved.as_ref()?;
        Some((self.machine.session, unsaved.spent, refresh_of(&unsaved.grant)))
    }

    /// Whether it has something to do now that takes no time.
    pub(super) fn hurries(&self, now: Timestamp) -> bool {
        !self.known.paused
            && (self.known.out.iter().any(|out| out.what.due().is_some_and(|due| due <= now))
                || self.machine.poll_timeout().is_some_and(|due| due <= now))
    }

    /// When it has something to do next.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let dues = self.known.out.iter().filter_map(|out| out.what.due());
        dues.chain(self.machine.poll_timeout()).filter(|due| *due > now).min().filter(|_| !self.known.paused)
    }
}

/// A seed whose first draws are nearly the greatest ones.
fn longest_draw() -> u64 {
    static SEED: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let long = |seed: &u64| Rng::new(*seed).next() > u64::MAX / 1000 * 999;
        (1..).find(long).expect("one in a thousand is")
    });
    *SEED
}

/// What an effect is to a driver. `None`: it is not answered.
pub(super) fn begun(effect: &Effect) -> Option<(Ticket, What)> {
    Some(match effect {
        Effect::Load { ticket, not_before } => (*ticket, What::Load { not_before: *not_before }),
        Effect::Commit { ticket, expected, record } => {
            (*ticket, What::Commit { expected: *expected, record: Box::new(record.clone()) })
        }
        Effect::Exchange { ticket, refresh, send_by, .. } => {
            let rt = refresh.as_ref().map_or(u8::MAX, super::server::id);
            (*ticket, What::Exchange { rt, send_by: *send_by })
        }
        Effect::Revoke { .. } => return None,
    })
}
