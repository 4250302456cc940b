use token_refresh_core::{Cause, Failure};

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

    /// The failure, unless it was the caller's own time limit.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(*failure),
            Self::TimedOut => None,
        }
    }
}
