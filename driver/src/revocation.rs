use std::time::Duration;

use bytes::Bytes;
use http::Response;
use token_refresh_core::Timestamp;

use crate::{TransportError, profile::with_reply};

/// The end of a session at the server (RFC 7009), as best one can: signed out is signed out here, whatever the server says
/// (SESS-05).
///
/// Two things are worth another attempt, since the refresh token is good as before: nothing was sent, and a 503, after
/// the time that it names (RFC 7009 §2.2.1).
pub(crate) struct Revocation {
    /// No attempt begins after this.
    until: Timestamp,
    attempts: u32,
}

impl Revocation {
    /// How long a session that is over may go on trying.
    const LIMIT: Duration = Duration::from_secs(30);
    const ATTEMPTS: u32 = 3;
    /// Where the server names no time.
    const PAUSE: Duration = Duration::from_secs(1);

    pub(crate) fn new(now: Timestamp) -> Self {
        Self { until: now.after(Self::LIMIT), attempts: 0 }
    }

    /// When to try again after this answer, if at all.
    pub(crate) fn again(
        &mut self,
        answer: &Result<Response<Bytes>, TransportError>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let pause = match answer {
            Ok(response) if response.status().as_u16() == 503 => {
                with_reply(response, |reply| reply.retry_after(now)).unwrap_or(Self::PAUSE)
            }
            Err(TransportError::NotSent) => Self::PAUSE,
            Ok(_) | Err(TransportError::Ambiguous) => return None,
        };
        self.attempts += 1;
        let at = now.after(pause);
        (self.attempts < Self::ATTEMPTS && at <= self.until).then_some(at)
    }
}
