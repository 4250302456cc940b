use crate::Timestamp;

/// Why a caller gets no token, and when it may make sense to ask again.
///
/// Small, `Copy` and without text, so that nothing secret can hide in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind}")]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// When the machine will try again by itself.
    pub retry: Retry,
}

/// When the machine will try again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not by itself: something outside has to happen first, a sign-in for example.
    Never,
    /// On the first demand at or after this instant. Until then demands get the same failure.
    At(Timestamp),
}

/// What happened. [`cause`](Self::cause) says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// Nobody has signed in yet.
    #[error("nobody is signed in")]
    NoCredentials,
    /// The session was signed out.
    #[error("the session was signed out")]
    SignedOut,
    /// The token belongs to an earlier identity, or the identity changed while the caller waited (SESS-01, SESS-03).
    #[error("the session ended or was replaced while the request was under way")]
    SessionEnded,
    /// The access token cannot be used any more and there is no refresh token (CORE-10).
    #[error("the access token is refused or expired and there is no refresh token")]
    NoRefreshToken,
    /// The server refused the refresh token.
    #[error("the authorization server refused the refresh token")]
    Refused,
    /// The server refused the refresh token when it was presented again after a lost answer: theft detection may have
    /// been tripped (RETRY-07).
    #[error("the authorization server refused the refresh token after an attempt whose outcome is unknown")]
    RefusedAfterAmbiguity,
    /// The server wants the user: consent, a second factor, a new login.
    #[error("the authorization server asks for an interaction with the user")]
    Interaction,
    /// The client or the request is set up wrongly; the refresh token is kept (XRSP-12).
    #[error(
        "the authorization server rejects the client or the request; check the address of the token endpoint and the \
         client's credentials"
    )]
    Misconfigured,
    /// The exchange failed in a way that will pass.
    #[error("the token could not be refreshed just now")]
    Transient,
    /// The store could not be read or written (PERS-04).
    #[error("the credential store is unavailable")]
    StoreUnavailable,
    /// The exchange was started too often lately (CORE-11).
    #[error("too many refreshes in a short time")]
    RateLimited,
    /// An answer was lost, the refresh token may be spent, and the policy forbids to present it again.
    #[error("the outcome of the last refresh is unknown")]
    Uncertain,
    /// Fresh tokens were refused one after another without ever being accepted (CORE-12).
    #[error("the resource server refuses freshly issued tokens")]
    RefusedAfterRefresh,
    /// Too many callers wait already (CORE-13).
    #[error("too many callers wait for the token")]
    QueueFull,
}

/// What an application can do about a failure (OBS-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The user, or the operator, has to sign in again.
    NeedsSignIn,
    /// It will pass: [`Failure::retry`] says when.
    Transient,
    /// The operator has to mend the configuration, then call `reset`.
    Misconfigured,
    /// The refresh token may be spent. An access token that is still good goes on being served, and after it the machine
    /// tries once more.
    Uncertain,
    /// The refresh works but its tokens are refused: wrong audience, suspended account, a bug on the server.
    RefusedAfterRefresh,
}

impl FailureKind {
    /// What to do about it.
    pub fn cause(self) -> Cause {
        match self {
            Self::NoCredentials
            | Self::SignedOut
            | Self::SessionEnded
            | Self::NoRefreshToken
            | Self::Refused
            | Self::RefusedAfterAmbiguity
            | Self::Interaction => Cause::NeedsSignIn,
            Self::Transient | Self::StoreUnavailable | Self::RateLimited | Self::QueueFull => {
                Cause::Transient
            }
            Self::Misconfigured => Cause::Misconfigured,
            Self::Uncertain => Cause::Uncertain,
            Self::RefusedAfterRefresh => Cause::RefusedAfterRefresh,
        }
    }

    fn loses_session(self) -> bool {
        match self {
            Self::NoRefreshToken | Self::Refused | Self::RefusedAfterAmbiguity | Self::Interaction => true,
            Self::NoCredentials
            | Self::SignedOut
            | Self::SessionEnded
            | Self::Misconfigured
            | Self::Transient
            | Self::StoreUnavailable
            | Self::RateLimited
            | Self::Uncertain
            | Self::RefusedAfterRefresh
            | Self::QueueFull => false,
        }
    }
}

impl Failure {
    /// What to do about it. A refresh token of unknown fate that the policy never lets out again is as good as gone.
    pub fn cause(self) -> Cause {
        let gone = self.kind == FailureKind::Uncertain && self.retry == Retry::Never;
        if gone { Cause::NeedsSignIn } else { self.kind.cause() }
    }

    /// Whether a session that was there is gone with this failure, as opposed to never having been there.
    pub(crate) fn loses_session(self) -> bool {
        self.kind.loses_session() || (self.kind == FailureKind::Uncertain && self.retry == Retry::Never)
    }

    pub(crate) fn never(kind: FailureKind) -> Self {
        Self { kind, retry: Retry::Never }
    }

    pub(crate) fn at(kind: FailureKind, instant: Timestamp) -> Self {
        Self { kind, retry: Retry::At(instant) }
    }
}

/// The driver's own fault. The machine is left exactly as it was (I-25).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// No effect with this ticket was ever handed out.
    #[error("no effect with this ticket was ever handed out")]
    UnknownTicket,
    /// The effect was answered before, or the watchdog gave it up and its answer can no longer matter.
    #[error("the effect was answered or given up before")]
    NotAwaited,
    /// The answer does not fit the effect: a load was answered as if it were an exchange, say.
    #[error("the answer does not fit the effect")]
    WrongKind,
}
