//! The wire format: pure functions between bytes and meaning. Nothing here sends, reads a clock or keeps state.
//!
//! | from | to | with |
//! | --- | --- | --- |
//! | a refresh token | a token request | [`OAuthClient`], [`JsonEndpoint`] |
//! | the answer to it | a [`Grant`](crate::Grant) or an [`ExchangeError`](crate::ExchangeError) | their `read` |
//! | `WWW-Authenticate` fields | [`Challenge`]s | [`challenges`] |
//! | a status and challenges | what they say about our token | [`Verdict::of`] |
//!
//! The types are as small as HTTP allows: a status is a `u16`, a field is a name and bytes, a body is bytes. Every
//! input is bounded before it is used (SEC-06), and nothing panics.
//!
//! ```
//! use token_refresh_core::{ExchangeError, Secret, Timestamp, wire::{ClientAuth, OAuthClient, Reply}};
//!
//! let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
//! let request = client.refresh(&Secret::from("rt1"));
//! assert_eq!(request.body().expose(), "grant_type=refresh_token&refresh_token=rt1&client_id=app");
//!
//! let body = br#"{"access_token":"at2","token_type":"Bearer","expires_in":3600,"refresh_token":"rt2"}"#;
//! let grant = client.read(&Reply { status: 200, headers: &[], body }, Timestamp::ZERO)?;
//! assert_eq!(grant.refresh_token(), Some(&Secret::from("rt2")));
//!
//! let refusal = Reply { status: 400, headers: &[], body: br#"{"error":"invalid_grant"}"# };
//! assert_eq!(client.read(&refusal, Timestamp::ZERO), Err(ExchangeError::Permanent));
//! # Ok::<(), ExchangeError>(())
//! ```

mod challenge;
mod classify;
mod client_auth;
mod dialect;
mod expires_in;
mod id_token;
mod json;
mod json_endpoint;
mod oauth;
mod retry_after;
mod verdict;

use alloc::vec::Vec;
use core::{fmt, time::Duration};

pub use self::{
    challenge::{Challenge, challenges},
    classify::ErrorReply,
    client_auth::ClientAuth,
    expires_in::MAX_LIFETIME,
    id_token::IdTokenSubject,
    json_endpoint::{InvalidMember, JsonEndpoint},
    oauth::{OAuthClient, ReservedParameter},
    verdict::{Strictness, Verdict},
};
use crate::{Secret, Timestamp};

/// The longest body of an answer that is looked at, in bytes (XRSP-01).
///
/// A transport reads at most one byte more, so that a body that is too long can be told from one that just fits; the
/// status alone then decides what the answer means.
pub const MAX_BODY: usize = 1024 * 1024;

/// A request to a token endpoint or a revocation endpoint. Its method is always POST.
///
/// It is to be sent as it is: redirects not followed (XREQ-06), not in early data (XREQ-11), without the access token
/// (XREQ-02).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    headers: Vec<(&'static str, Secret)>,
    body: Secret,
}

impl Request {
    fn new(content_type: &'static str, body: Secret) -> Self {
        // Some servers answer in a format of their own unless asked for JSON (XREQ-10).
        let headers = [("content-type", content_type), ("accept", "application/json")];
        Self { headers: headers.into_iter().map(|(name, value)| (name, Secret::from(value))).collect(), body }
    }

    fn with_header(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The fields to send, each name once and in lower case; one of the values may be a credential.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.headers.iter().map(|(name, value)| (*name, value))
    }

    /// The body to send.
    pub fn body(&self) -> &Secret {
        &self.body
    }
}

/// A complete answer of a token endpoint. An answer whose body was cut short is none: it is
/// [`ExchangeError::Ambiguous`](crate::ExchangeError::Ambiguous) whatever its status (RETRY-01).
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// The header fields, in the order in which they came. `Retry-After`, `Date` and `Content-Type` are looked at.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body, without content coding; at most one byte longer than [`MAX_BODY`].
    pub body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// How long the server wants to be left alone (RFC 9110 §10.2.3): seconds, or a date, which counts from the server's
    /// own date if there is one. `None` if it is absent or not understood.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        retry_after::read(self, now)
    }

    /// The first field of this name, if it is text.
    fn header(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        core::str::from_utf8(value).ok().map(str::trim)
    }
}

/// Shows no field values and no body: they hold tokens (SEC-04).
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}
