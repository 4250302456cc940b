//! What comes out: the answer of a call, and what the driver has to do.

use serde::{Deserialize, Serialize};

use super::{Failure, Record, Snapshot, State, outcome};

/// All that the machine answers to one call, its outputs drained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The answer of the call itself.
    #[serde(default)]
    pub answer: Answer,
    /// The outputs, in order.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// What it is doing now.
    pub state: State,
    /// When it wants to be called again.
    pub timeout: Option<u64>,
    /// Whether nothing is under way and nothing owed.
    pub settled: bool,
}

/// The answer of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The call has no answer.
    #[default]
    None,
    /// To a demand: use this token.
    Ready(Snapshot),
    /// To a demand: wait; a [`Output::Resolve`] follows.
    Wait(u64),
    /// To a demand: no token.
    Failed(Failure),
    /// To a cancellation: whether the caller was still waiting.
    Cancelled(bool),
    /// To an event: it makes no sense, and changed nothing.
    Misuse,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Replace what callers read without asking; `None` withdraws it.
    Publish(Option<Snapshot>),
    /// Wake one caller.
    Resolve {
        /// Who.
        waiter: u64,
        /// With what.
        #[serde(with = "outcome")]
        outcome: Result<Snapshot, Failure>,
    },
    /// Tell observers.
    Notify(Notice),
    /// Start an effect.
    Run(Effect),
}

/// Work that only the driver can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Read the store.
    Load {
        /// To be echoed.
        ticket: u64,
        /// Not before this instant.
        not_before: u64,
    },
    /// Replace the record if this version is in force.
    Commit {
        /// To be echoed.
        ticket: u64,
        /// The version.
        expected: u64,
        /// The new record.
        record: Record,
    },
    /// Ask the server for a grant.
    Exchange {
        /// To be echoed.
        ticket: u64,
        /// The refresh token to present.
        #[serde(rename = "refresh_token")]
        refresh: Option<String>,
        /// The last instant for the first byte.
        send_by: u64,
        /// How long the attempt may take.
        limit: u64,
        /// Whether the scope that was configured is left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        without_scope: bool,
    },
    /// Revoke a refresh token. Not answered.
    Revoke {
        /// Which.
        #[serde(rename = "refresh_token")]
        refresh: String,
    },
}

impl Effect {
    /// The ticket, if the effect is answered.
    pub fn ticket(&self) -> Option<u64> {
        match self {
            Self::Load { ticket, .. } | Self::Commit { ticket, .. } | Self::Exchange { ticket, .. } => {
                Some(*ticket)
            }
            Self::Revoke { .. } => None,
        }
    }
}

/// What observers are told, as far as the judge looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A grant could not be saved in time and is used from memory.
    SaveDelayed,
    /// The user has to sign in again.
    SessionLost,
    /// A grant in hand was dropped for a newer one of another process.
    Superseded,
    /// The claim of a silent process is taken over.
    TakenOver,
    /// Anything else.
    Other,
}
