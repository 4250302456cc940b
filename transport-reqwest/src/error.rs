use std::fmt;

use reqwest::Response;
use token_refresh_driver::Cause;

/// Why there is no answer, or only a refusal.
///
/// Holds no secrets, and shows of an answer only its status; the answer itself is for the caller to read.
#[non_exhaustive]
pub enum Error {
    /// There was no token to send the request with; nothing was sent.
    NoToken(token_refresh_driver::Error),
    /// The server refused the token, and there is no newer one.
    Refused {
        /// The refusal, as the server sent it, with its content (RPLY-08).
        response: Box<Response>,
        /// Why there is no newer token.
        reason: token_refresh_driver::Error,
    },
    /// The request failed for a reason of its own.
    Http(reqwest::Error),
}

impl Error {
    /// What to do about the token (OBS-02); `None` if the token is not to blame.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::NoToken(reason) | Self::Refused { reason, .. } => Some(reason.cause()),
            Self::Http(_) => None,
        }
    }

    /// The answer that refused the token, if there is one.
    pub fn into_response(self) -> Option<Response> {
        match self {
            Self::Refused { response, .. } => Some(*response),
            Self::NoToken(_) | Self::Http(_) => None,
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoToken(reason) | Self::Refused { reason, .. } => Some(reason),
            Self::Http(error) => Some(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(_) => f.write_str("there is no access token to send the request with"),
            Self::Refused { response, .. } => {
                write!(
                    f,
                    "the server refused the access token ({}), and there is no newer one",
                    response.status()
                )
            }
            Self::Http(_) => f.write_str("the request failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(reason) => f.debug_tuple("NoToken").field(reason).finish(),
            Self::Refused { response, reason } => f
                .debug_struct("Refused")
                .field("status", &response.status())
                .field("reason", reason)
                .finish_non_exhaustive(),
            Self::Http(error) => f.debug_tuple("Http").field(error).finish(),
        }
    }
}
