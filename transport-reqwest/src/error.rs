use std::time::SystemTime;

use reqwest::Response;
use token_refresh_driver::{Cause, Refusal};

/// Why there is no answer, or only a refusal.
///
/// Holds no secrets, and shows of an answer only its status; the answer itself is for the caller to read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no token to send the request with; nothing was sent.
    #[error("there is no access token to send the request with")]
    NoToken(#[source] token_refresh_driver::Error),
    /// The server refused the token, and there is no newer one. The answer is in it.
    #[error(transparent)]
    Refused(Refusal<Response>),
    /// The request failed for a reason of its own.
    #[error("the request failed")]
    Http(#[from] reqwest::Error),
}

impl Error {
    /// What to do about the token (OBS-02); `None` if the token is not to blame.
    pub fn cause(&self) -> Option<Cause> {
        self.reason().map(|reason| reason.cause())
    }

    /// From when on asking again makes a difference, if time alone helps; see [`token_refresh_driver::Error::retry_at`].
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.reason()?.retry_at()
    }

    /// Why there is no token, or no newer one; `None` if the token is not to blame.
    pub fn reason(&self) -> Option<token_refresh_driver::Error> {
        match self {
            Self::NoToken(reason) | Self::Refused(Refusal { reason, .. }) => Some(*reason),
            Self::Http(_) => None,
        }
    }

    /// The answer that refused the token, if there is one.
    pub fn into_response(self) -> Option<Response> {
        match self {
            Self::Refused(refusal) => Some(*refusal.response),
            Self::NoToken(_) | Self::Http(_) => None,
        }
    }
}
