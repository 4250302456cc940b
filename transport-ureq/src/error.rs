use std::{fmt, time::SystemTime};

use token_refresh_driver::{Cause, Refusal, StepUp};
use ureq::{Body, http::Response};

/// Why there is no answer, or only a refusal.
///
/// Holds no secrets, and shows of an answer only its status; the answer itself is for the caller to read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no token to send the request with; nothing was sent.
    #[error("there is no access token to send the request with")]
    NoToken(#[source] token_refresh_driver::Error),
    /// The server refused the token, and there is no newer one. The answer is in it.
    #[error(transparent)]
    Refused(Refusal<Response<Body>>),
    /// The token is good but not enough, and statuses are to become errors. If they are not, the answer is handed on with
    /// the [`StepUp`] among its extensions.
    #[error("{step_up}")]
    StepUp {
        /// What the server asks for.
        step_up: StepUp,
        /// The answer, as the server sent it, with its content.
        response: Box<Response<Body>>,
    },
    /// The request failed for a reason of its own.
    #[error(transparent)]
    Http(ureq::Error),
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
            Self::StepUp { .. } | Self::Http(_) => None,
        }
    }

    /// The answer that the error is about, if there is one.
    pub fn into_response(self) -> Option<Response<Body>> {
        match self {
            Self::Refused(Refusal { response, .. }) | Self::StepUp { response, .. } => Some(*response),
            Self::NoToken(_) | Self::Http(_) => None,
        }
    }
}

/// Finds the error of this crate again that a ureq call with [`AuthMiddleware`](crate::AuthMiddleware) returned.
impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Other(other) => match other.downcast() {
                Ok(ours) => *ours,
                Err(other) => Self::Http(ureq::Error::Other(other)),
            },
            other => Self::Http(other),
        }
    }
}

impl From<Error> for ureq::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Http(error) => error,
            ours => Self::Other(Box::new(ours)),
        }
    }
}

/// An answer would show its fields.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(reason) => f.debug_tuple("NoToken").field(reason).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
            Self::StepUp { step_up, response } => f
                .debug_struct("StepUp")
                .field("step_up", step_up)
                .field("status", &response.status())
                .finish_non_exhaustive(),
            Self::Http(error) => f.debug_tuple("Http").field(error).finish(),
        }
    }
}
