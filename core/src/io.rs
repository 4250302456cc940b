//! What goes in and out of the machine: completions in, actions out.

use alloc::sync::Arc;
use core::time::Duration;

use crate::{
    Epoch, Failure, FailureKind, Grant, Record, Secret, Snapshot, Stored, Timestamp, TokenId, Version,
};

/// One caller in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// One effect under way; its answer carries the same ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The answer to one caller who waited.
pub type Outcome = Result<Arc<Snapshot>, Failure>;

/// The immediate answer to a demand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquire {
    /// Use this token.
    Ready(Arc<Snapshot>),
    /// Wait: an [`Action::Resolve`] with this id will follow, exactly once.
    Wait(WaiterId),
    /// There is no token to be had now.
    Failed(Failure),
}

/// What the driver has to do. Exhaustive on purpose: an action that an old driver ignores would hang its callers, so a
/// new one must break the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Replace what callers read without asking the machine; `None` withdraws it.
    Publish(Option<Arc<Snapshot>>),
    /// Wake one caller.
    Resolve {
        /// Who.
        waiter: WaiterId,
        /// With what.
        outcome: Outcome,
    },
    /// Tell observers. Never carries a secret.
    Notify(Notice),
    /// Start this, outside any lock that callers need. Comes after everything else in a batch.
    Run(Effect),
}

/// Work that only the driver can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read the store, and answer with [`Event::Loaded`]. May be stale.
    Load {
        /// To be echoed.
        ticket: Ticket,
        /// Do not read before this instant, unless the store says that the record changed. A read that is too early
        /// does no harm: a claim counts as watched for the time that passed between two reads, not for the pause that
        /// was asked for (rule 4 of the claim protocol).
        not_before: Timestamp,
    },
    /// Replace the record if its version is still `expected`, durably and linearizably, and answer with
    /// [`Event::Committed`].
    Commit {
        /// To be echoed.
        ticket: Ticket,
        /// The version that must be in force.
        expected: Version,
        /// The whole new record.
        record: Record,
    },
    /// Ask the server for a new grant, once, and answer with [`Event::Exchanged`]. Connect first, then look at the
    /// clock: if it is past `send_by`, answer [`ExchangeError::NotSent`] and send nothing.
    Exchange {
        /// To be echoed.
        ticket: Ticket,
        /// The refresh token to present; `None` if the grant needs none (client credentials, cookie).
        refresh: Option<Secret>,
        /// The last instant at which the first byte may leave.
        send_by: Timestamp,
        /// How long the attempt may take, from its first byte to the last of the answer.
        limit: Duration,
        /// Which scope to ask for.
        scope: Scope,
    },
    /// Revoke this refresh token of a session that has ended (RFC 7009), as best you can. Not answered.
    Revoke {
        /// The refresh token.
        refresh: Secret,
    },
}

/// Which scope an exchange asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The one that was configured, if any.
    #[default]
    Configured,
    /// None, which means the one that was granted (RFC 6749 §6): the server has refused the configured one.
    Granted,
}

/// What became of an effect. Data rather than methods, so that it can be recorded and replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Answers [`Effect::Load`].
    Loaded {
        /// Of the effect.
        ticket: Ticket,
        /// What the store holds.
        result: Result<Stored, StoreError>,
    },
    /// Answers [`Effect::Commit`].
    Committed {
        /// Of the effect.
        ticket: Ticket,
        /// The new version.
        result: Result<Version, CommitError>,
    },
    /// Answers [`Effect::Exchange`].
    Exchanged {
        /// Of the effect.
        ticket: Ticket,
        /// When the first byte of the request was sent; for an attempt that sent nothing, when it was given up.
        /// A lifetime counts from here (TIME-01).
        sent_at: Timestamp,
        /// What the server answered.
        result: Result<Grant, ExchangeError>,
    },
    /// The thread or task that ran the effect died. Counts as the worst answer the effect can have.
    Abandoned {
        /// Of the effect.
        ticket: Ticket,
    },
}

/// The store did not answer. That is not the same as an empty store (PERS-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is unavailable")]
pub struct StoreError;

/// Why a commit did not succeed, as far as one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another version is in force; nothing was written.
    #[error("another version is in force")]
    Conflict,
    /// No answer: written, not written, or landing later.
    #[error("the store is unavailable")]
    Unavailable,
}

/// Why an exchange yielded no grant. The differences decide whether the refresh token may be presented again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing was sent: resolution, connection, TLS, or too late (RETRY-01).
    #[error("nothing was sent")]
    NotSent,
    /// Something was sent and no usable answer came: the refresh token may be spent.
    #[error("no usable answer")]
    Ambiguous {
        /// The server's wish, if an answer came that had one (RETRY-05). It puts off the prompt presentation, too.
        retry_after: Option<Duration>,
    },
    /// The server answered that it cannot do it now, and did not.
    #[error("the server cannot answer now")]
    Transient {
        /// The server's wish (RFC 9110 §10.2.3).
        retry_after: Option<Duration>,
    },
    /// The server answered with an error that explains nothing: a bare 400. Transient, but not for ever.
    #[error("the server refuses without saying why")]
    Unexplained,
    /// The refresh token is dead (`invalid_grant`).
    #[error("the refresh token is refused")]
    Permanent,
    /// Only the user can help; the refresh token is kept.
    #[error("the server asks for the user")]
    Interaction,
    /// Only the operator can help; the refresh token is kept.
    #[error("the client or the request is not acceptable")]
    Misconfigured,
    /// `invalid_request`. Some servers say so when two use one refresh token at once: tried once more after a look at the
    /// store, and then as [`Misconfigured`](Self::Misconfigured).
    #[error("the request is not acceptable, or another one was under way")]
    InvalidRequest,
    /// `invalid_scope` in answer to a request for a scope: tried once more without one ([`Scope::Granted`]), and then as
    /// [`Interaction`](Self::Interaction), because the grant itself has shrunk.
    #[error("the scope is not granted")]
    InvalidScope,
}

/// Where a current token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The application signed in.
    SignIn,
    /// An exchange of this machine.
    Exchange,
    /// Another process stored it.
    Adoption,
}

/// Why an exchange was made (OBS-01). What another process made is told as [`Origin::Adoption`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// There was no access token yet: client credentials, a cookie.
    NoToken,
    /// The access token had reached its soft or its hard end.
    Expiry,
    /// The resource server had refused the access token.
    Refusal,
    /// The application wanted a refused refresh token to be tried once more ([`Machine::reset`](crate::Machine::reset)).
    Reset,
}

/// One exchange, as observers are told of it (OBS-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// Whose refresh token is presented.
    pub epoch: Epoch,
    /// Why.
    pub trigger: Trigger,
    /// How often that refresh token may then have been presented; 1 unless the outcome of an earlier attempt is unknown.
    pub presentation: u32,
    /// The access token that was current when it began.
    pub replaces: Option<TokenId>,
}

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreOperation {
    /// [`Effect::Load`].
    Load,
    /// [`Effect::Commit`].
    Commit,
}

/// Something that happened, for logs and counters. Never carries a secret (OBS-01, OBS-03, OBS-04).
///
/// A run says `ExchangeStarted` and `ExchangeEnded` for each exchange, and then `Installed` or `RefreshFailed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An exchange begins.
    ExchangeStarted {
        /// Which.
        exchange: Exchange,
    },
    /// An exchange ended, or was given up.
    ExchangeEnded {
        /// Which.
        exchange: Exchange,
        /// `None`: it yielded a grant.
        error: Option<ExchangeError>,
        /// How long it took, the connection included.
        took: Duration,
    },
    /// An exchange that was given up, or whose session had ended, was answered after all.
    AnsweredLate {
        /// Which.
        exchange: Exchange,
        /// `None`: it yielded a grant.
        error: Option<ExchangeError>,
        /// How long it took, the connection included.
        took: Duration,
    },
    /// A new token is current.
    Installed {
        /// Its name.
        id: TokenId,
        /// The token of the same identity that was current before.
        replaces: Option<TokenId>,
        /// Where it came from.
        origin: Origin,
        /// How many callers were waiting for it.
        released: usize,
    },
    /// The scope of the new token is another one than that of the token before; nothing is asked again (XRSP-06).
    ScopeChanged {
        /// The new token.
        id: TokenId,
    },
    /// A refresh failed.
    RefreshFailed {
        /// What the callers were told.
        failure: Failure,
        /// How many callers were waiting.
        released: usize,
    },
    /// The user has to sign in again. Said once in an epoch (OBS-03).
    SessionLost {
        /// Which identity.
        epoch: Epoch,
        /// Why.
        kind: FailureKind,
    },
    /// A refusal came of a token that had been replaced before; nothing was started (CORE-04).
    LateRefusal {
        /// The refused token.
        id: TokenId,
    },
    /// A fresh token was refused before any server had accepted it: the exchange was in vain (CORE-12).
    Fruitless {
        /// The refused token.
        id: TokenId,
    },
    /// The store did not answer, or not in time.
    StoreFailed {
        /// What was asked of it.
        operation: StoreOperation,
    },
    /// Another process wrote the record first; it is read again.
    CommitConflict,
    /// The wait for the claim of another process is over.
    ClaimAwaited {
        /// How long it took.
        waited: Duration,
    },
    /// A new grant could not be saved in time; it is used from memory and the save goes on (PERS-02).
    SaveDelayed,
    /// A grant that could not be saved before is saved now.
    Saved,
    /// A grant in hand was dropped, because another process had stored a newer one.
    Superseded,
    /// The claim of a process that fell silent is taken over.
    TakenOver,
    /// Fresh tokens were refused in a row; no exchange until the instant (CORE-12).
    BreakerOpened {
        /// When one more is tried.
        until: Timestamp,
    },
    /// An exchange of an ended session yielded tokens; they are revoked, not used (SESS-02).
    Orphaned,
}
