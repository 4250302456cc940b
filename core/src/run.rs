use alloc::sync::Arc;
use core::mem;

use crate::{
    Epoch, Exchange, ExchangeError, Failure, Grant, Record, Scope, Snapshot, Ticket, Timestamp, TokenId,
    Trigger,
};

/// What the machine is doing. Only `transitions.rs` changes it.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Idle,
    Refreshing(Run),
    Failed(Failed),
}

/// The last run failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// From here on a demand starts a new run.
    pub(crate) look_at: Timestamp,
}

/// One run: exactly one effect of it is out.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) step: Step,
    pub(crate) ticket: Ticket,
    /// When the watchdog gives the effect up.
    pub(crate) give_up_at: Timestamp,
    /// Whether the watchdog came late and gave the effect some time more.
    pub(crate) spared: bool,
    /// Whether a caller ever asked for a token in this run. Stays so when that caller leaves (I-18).
    pub(crate) wanted: bool,
    /// What was true before a run that no caller asked for, and is true again after it.
    pub(crate) before: Option<Failed>,
    /// Since when the store has been failing in this run.
    pub(crate) trouble_since: Option<Timestamp>,
    /// Since when the run has been waiting for the claim of another process.
    pub(crate) watching_since: Option<Timestamp>,
    /// A commit of this run met another version before.
    pub(crate) conflict: bool,
    /// It was too late to send in this run before.
    pub(crate) late: bool,
    /// The server answered `invalid_request` in this run before.
    pub(crate) disputed: bool,
    /// The server refused the configured scope in this run.
    pub(crate) scope: Scope,
}

/// The effect that is out.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Load,
    Commit { purpose: Purpose, record: Record },
    Exchange(Presentation),
}

/// Why a record is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Claim the refresh token for this presentation.
    Claim { n: u32, send_by: Timestamp },
    /// Save the grant in hand.
    Save,
    /// Mark the refresh token as refused.
    Mark,
    /// Give back a claim, then tell callers this.
    Release(Option<Failure>),
    /// Write a sign-in or a sign-out.
    Establish,
}

/// A refresh token on its way to the server.
#[derive(Clone, Debug)]
pub(crate) struct Presentation {
    pub(crate) epoch: Epoch,
    pub(crate) serial: u64,
    /// The grant whose refresh token is presented.
    pub(crate) spent: Option<Grant>,
    pub(crate) n: u32,
    pub(crate) trigger: Trigger,
    pub(crate) replaces: Option<TokenId>,
    pub(crate) started: Timestamp,
    pub(crate) send_by: Timestamp,
}

/// The current access token, as this process knows it.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) serial: u64,
    pub(crate) refused: bool,
    /// It came from an exchange, and the resource server has not accepted it yet (CORE-12).
    pub(crate) fresh: bool,
}

impl Presentation {
    /// What observers are told.
    pub(crate) fn exchange(&self) -> Exchange {
        let Self { epoch, trigger, n: presentation, replaces, .. } = *self;
        Exchange { epoch, trigger, presentation, replaces }
    }
}

impl Run {
    pub(crate) fn new(wanted: bool, before: Option<Failed>) -> Self {
        Self {
            step: Step::Load,
            ticket: Ticket(0),
            give_up_at: Timestamp::MAX,
            spared: false,
            wanted,
            before,
            trouble_since: None,
            watching_since: None,
            conflict: false,
            late: false,
            disputed: false,
            scope: Scope::Configured,
        }
    }

    /// Whether the presentation is to be repeated at once, which happens one time for each of these reasons. The refresh
    /// token is as good as before, and the store is read again first.
    pub(crate) fn goes_on_after(
        &mut self,
        error: ExchangeError,
        presentation: &Presentation,
        now: Timestamp,
    ) -> bool {
        match error {
            ExchangeError::NotSent => now > presentation.send_by && !mem::replace(&mut self.late, true),
            ExchangeError::InvalidRequest => !mem::replace(&mut self.disputed, true),
            ExchangeError::InvalidScope => mem::replace(&mut self.scope, Scope::Granted) == Scope::Configured,
            ExchangeError::Ambiguous { .. }
            | ExchangeError::Transient { .. }
            | ExchangeError::Unexplained
            | ExchangeError::Permanent
            | ExchangeError::Interaction
            | ExchangeError::Misconfigured => false,
        }
    }

    /// There is a new token: what callers asked for is done, and an earlier failure is over.
    pub(crate) fn satisfied(self) -> Self {
        Self { wanted: false, before: None, ..self }
    }
}

impl Stage {
    pub(crate) fn is_refreshing(&self) -> bool {
        match self {
            Self::Refreshing(_) => true,
            Self::Idle | Self::Failed(_) => false,
        }
    }

    /// Whether a sign-in or a sign-out is being written.
    pub(crate) fn is_establishing(&self) -> bool {
        matches!(self, Self::Refreshing(Run { step: Step::Commit { purpose: Purpose::Establish, .. }, .. }))
    }

    /// Takes the run out, if there is one and it is such a one. Whoever takes it puts the stage right again.
    pub(crate) fn take_run_if(&mut self, wanted: impl FnOnce(&Run) -> bool) -> Option<Run> {
        match mem::replace(self, Self::Idle) {
            Self::Refreshing(run) if wanted(&run) => Some(run),
            other @ (Self::Idle | Self::Refreshing(_) | Self::Failed(_)) => {
                *self = other;
                None
            }
        }
    }

    /// Takes the failure out, if there is one.
    pub(crate) fn take_failure(&mut self) -> Option<Failed> {
        match *self {
            Self::Failed(failed) => {
                *self = Self::Idle;
                Some(failed)
            }
            Self::Idle | Self::Refreshing(_) => None,
        }
    }
}
