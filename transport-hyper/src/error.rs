use std::time::SystemTime;

use token_refresh_driver::Cause;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// There was no token to send the request with; nothing was sent.
    #[error("there is no access token to send the request with")]
    NoToken(#[source] token_refresh_driver::Error),
    /// The service below failed.
    #[error("the request failed")]
    Service(#[source] E),
}

/// A response extension on an answer that refused the token: why there is no newer one (RPLY-08). Without it, a refusal
/// means that the newer token was refused too, or that the request could not be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNewerToken(pub token_refresh_driver::Error);

impl<E> Error<E> {
    /// What to do about the token (OBS-02); `None` if the token is not to blame.
    pub fn cause(&self) -> Option<Cause> {
        self.reason().map(|reason| reason.cause())
    }

    /// From when on asking again makes a difference, if time alone helps; see [`token_refresh_driver::Error::retry_at`].
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.reason()?.retry_at()
    }

    /// Why there is no token; `None` if the token is not to blame.
    pub fn reason(&self) -> Option<token_refresh_driver::Error> {
        match self {
            Self::NoToken(reason) => Some(*reason),
            Self::Service(_) => None,
        }
    }
}
