//! What goes into a state machine under test and what comes out, as plain data.
//!
//! These types are the kit's own: the judge knows no implementation, and the same values can travel to a subject in
//! another language (`PROTOCOL.md` has their form). Instants are milliseconds of Unix time, spans are milliseconds.
//! Tokens are plain text: the kit mints all of them itself, and none opens anything.

mod input;
mod outcome;
mod output;
mod record;

use serde::{Deserialize, Serialize};

pub use input::{CommitError, Event, ExchangeError, Input};
pub use output::{Answer, Effect, Notice, Output, Reply};
pub use record::{Body, Holder, Record};

/// Names one access token: which identity, and which token of it (`T = (e, g)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenId {
    /// Counts sign-ins and sign-outs.
    pub epoch: u64,
    /// Counts access tokens inside one epoch.
    pub generation: u64,
}

/// One access token as callers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its name.
    pub id: TokenId,
    /// Its value.
    pub access_token: String,
    /// From here on it is refreshed in the background; `None`: never.
    pub soft_end: Option<u64>,
    /// From here on it is not used; `None`: never.
    pub hard_end: Option<u64>,
}

/// What a sign-in or an exchange yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The access token.
    pub access_token: String,
    /// The refresh token, if there is one.
    pub refresh_token: Option<String>,
    /// How long the access token lives, if that is known.
    pub lifetime: Option<u64>,
}

/// Why a caller gets no token, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// When the machine tries again by itself, on demand.
    pub retry: Retry,
}

/// When the machine tries again by itself, on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Something outside has to happen first.
    Never,
    /// At or after this instant.
    At(u64),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Nobody has signed in yet.
    NoCredentials,
    /// The session was signed out.
    SignedOut,
    /// The identity changed meanwhile.
    SessionEnded,
    /// There is no refresh token.
    NoRefreshToken,
    /// The server refused the refresh token.
    Refused,
    /// The server refused the refresh token after an attempt whose outcome is unknown.
    RefusedAfterAmbiguity,
    /// The server wants the user.
    Interaction,
    /// The client is set up wrongly.
    Misconfigured,
    /// The exchange failed in a way that passes.
    Transient,
    /// The store could not be read or written.
    StoreUnavailable,
    /// Too many exchanges lately.
    RateLimited,
    /// The refresh token may be spent, and the policy forbids to present it again.
    Uncertain,
    /// Fresh tokens are refused.
    RefusedAfterRefresh,
    /// Too many callers wait already.
    QueueFull,
}

/// What the machine says it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing.
    Idle,
    /// Exactly one effect of the current epoch is out.
    Refreshing,
    /// The last refresh failed.
    Failed(Failure),
}
