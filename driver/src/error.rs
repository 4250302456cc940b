use std::{fmt, time::SystemTime};

use http::StatusCode;
use token_refresh_core::{Cause, Failure, Retry};

use crate::clock::system_time;

/// Why a caller gets no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none to be had: [`Failure::cause`] says what to do about it, [`Failure::retry`] when to ask again.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The caller's own time limit passed. What the caller waited for goes on without it (CORE-14).
    #[error("the time limit passed before there was a token")]
    TimedOut,
}

impl Error {
    /// What to do about it (OBS-02). A caller that ran out of time may ask again: [`Cause::Transient`].
    pub fn cause(&self) -> Cause {
        match self {
            Self::Failed(failure) => failure.cause(),
            Self::TimedOut => Cause::Transient,
        }
    }

    /// From when on asking again makes a difference; until then the answer is the same. `None` if time alone does not
    /// help, and for a caller that ran out of time, who may ask again at once.
    pub fn retry_at(&self) -> Option<SystemTime> {
        match self.failure()?.retry {
            Retry::At(instant) => system_time(instant),
            Retry::Never => None,
        }
    }

    /// The failure, unless it was the caller's own time limit.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(*failure),
            Self::TimedOut => None,
        }
    }
}

/// An answer that refused the token, together with the reason why there is no newer one (RPLY-08): what the error of an
/// adapter holds. `R` is the answer as the adapter's client has it.
///
/// Shows of the answer only its status; the rest is for the caller to read.
pub struct Refusal<R> {
    /// The status of the answer.
    pub status: StatusCode,
    /// The answer, as the server sent it, with its content.
    pub response: Box<R>,
    /// Why there is no newer token.
    pub reason: Error,
}

impl<R> fmt::Display for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused the access token ({}), and there is no newer one", self.status)
    }
}

impl<R> fmt::Debug for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, reason, .. } = self;
        f.debug_struct("Refusal").field("status", status).field("reason", reason).finish_non_exhaustive()
    }
}

impl<R> std::error::Error for Refusal<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}
