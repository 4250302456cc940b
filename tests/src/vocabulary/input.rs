//! What goes in: calls, and the ends of effects.

use serde::{Deserialize, Serialize};

use super::{Grant, Record, TokenId, outcome};

/// One call of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A request asks for a token.
    Acquire,
    /// The resource server refused this token.
    Reject(TokenId),
    /// The resource server took this token.
    Accept(TokenId),
    /// A waiting caller has gone.
    Cancel(u64),
    /// New credentials.
    SignIn(Grant),
    /// The end of the session.
    SignOut,
    /// The application clears a failure.
    Reset,
    /// Time has passed.
    Timeout,
    /// An effect came to an end.
    #[serde(untagged)]
    Event(Event),
}

/// How an effect came to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Of a load: the version in force and the record, or `None` if the store did not answer.
    Loaded {
        /// Of the effect.
        ticket: u64,
        /// What the store holds.
        #[serde(with = "outcome::stored")]
        result: Option<(u64, Option<Record>)>,
    },
    /// Of a commit.
    Committed {
        /// Of the effect.
        ticket: u64,
        /// The new version, or why there is none.
        #[serde(with = "outcome")]
        result: Result<u64, CommitError>,
    },
    /// Of an exchange.
    Exchanged {
        /// Of the effect.
        ticket: u64,
        /// When its first byte left.
        sent_at: u64,
        /// What the server answered.
        #[serde(with = "outcome")]
        result: Result<Grant, ExchangeError>,
    },
    /// Whoever ran the effect died.
    Abandoned {
        /// Of the effect.
        ticket: u64,
    },
}

/// Why a commit yielded no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitError {
    /// Another version is in force.
    Conflict,
    /// No answer: written, not written, or landing later.
    Unavailable,
}

/// Why an exchange yielded no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeError {
    /// Nothing was sent.
    NotSent,
    /// Something was sent, no usable answer came. With the server's wish when to come back, as a span, if there was one.
    Ambiguous(Option<u64>),
    /// The server cannot do it now, and did not. With its wish when to come back, as a span.
    Transient(Option<u64>),
    /// An error that explains nothing; passes, but not for ever.
    Unexplained,
    /// The refresh token is dead.
    Permanent,
    /// Only the user can help.
    Interaction,
    /// Only the operator can help.
    Misconfigured,
    /// `invalid_request`: perhaps another process used the refresh token just now; else only the operator can help.
    InvalidRequest,
    /// `invalid_scope`: without a scope it may work; else only the user can help.
    InvalidScope,
}

impl Event {
    /// The ticket of the effect that ended.
    pub fn ticket(&self) -> u64 {
        match self {
            Self::Loaded { ticket, .. }
            | Self::Committed { ticket, .. }
            | Self::Exchanged { ticket, .. }
            | Self::Abandoned { ticket } => *ticket,
        }
    }
}
