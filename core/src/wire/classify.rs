use alloc::string::String;
use core::{fmt, time::Duration};

use crate::{
    ExchangeError, Timestamp,
    wire::{
        Reply,
        json::{Object, unquote},
        retry_after,
    },
};

/// An answer that yielded no grant, as a rule sees it ([`JsonEndpoint::with_rule`](super::JsonEndpoint::with_rule)).
pub struct ErrorReply<'a> {
    status: u16,
    retry_after: Option<Duration>,
    object: Option<&'a Object<'a>>,
    is_page: bool,
}

impl<'a> ErrorReply<'a> {
    pub(super) fn new(reply: &Reply<'a>, object: Option<&'a Object<'a>>, now: Timestamp) -> Self {
        Self {
            status: reply.status,
            retry_after: retry_after::read(reply, now),
            object,
            is_page: is_page(reply),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// How long the server wants to be left alone (RFC 9110 §10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The member of the body at a dotted path: the value of a string, the JSON text of anything else. `None` if it is
    /// absent or `null`, if it stands there twice, and if the body is no JSON object.
    pub fn member(&self, path: &str) -> Option<String> {
        let json = self.object?.find(path).ok().flatten()?;
        Some(unquote(json).unwrap_or_else(|| json.into()))
    }

    /// Whether the answer may hold a grant: some servers say 200 and mean an error (XRSP-02).
    pub(super) fn is_success(&self) -> bool {
        let says_error = self.object.is_some_and(|object| match object.find("error") {
            Ok(json) => json.and_then(unquote).is_some_and(|code| !code.is_empty()),
            Err(_) => true,
        });
        (200..300).contains(&self.status) && !says_error
    }

    fn text(&self, path: &str) -> Option<String> {
        self.object?.text(path).ok().flatten()
    }
}

/// Shows no member: what a server says in an error may repeat what it was sent (SEC-04).
impl fmt::Debug for ErrorReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorReply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What an error without an explanation means depends on who is asked.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    OAuth {
        /// The client proved who it is.
        authenticated: bool,
        /// The request asked for a scope.
        scoped: bool,
    },
    Json,
}

/// The class of a failure: by its code, by its status only where there is no code that we know, never by its
/// description. `Permanent` needs positive evidence (XRSP-10).
pub(super) fn classify(endpoint: Endpoint, error: &ErrorReply<'_>) -> ExchangeError {
    let code = error.text("error");
    code.as_deref()
        .and_then(|code| by_code(code, endpoint, error))
        .unwrap_or_else(|| by_status(endpoint, error, code.is_some()))
}

fn by_code(code: &str, endpoint: Endpoint, error: &ErrorReply<'_>) -> Option<ExchangeError> {
    Some(match code {
        // Entra says `invalid_grant` also when it wants the user; only `bad_token` is about the refresh token.
        "invalid_grant" if error.text("suberror").is_some_and(|suberror| suberror != "bad_token") => {
            ExchangeError::Interaction
        }
        // The second is GitHub's.
        "invalid_grant" | "bad_refresh_token" => ExchangeError::Permanent,
        "interaction_required" | "consent_required" | "login_required" | "access_denied" => {
            ExchangeError::Interaction
        }
        // Without a scope in the request the grant itself has shrunk.
        "invalid_scope" => match endpoint {
            Endpoint::OAuth { scoped: true, .. } => ExchangeError::InvalidScope,
            Endpoint::OAuth { scoped: false, .. } | Endpoint::Json => ExchangeError::Interaction,
        },
        "invalid_client"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "invalid_target"
        | "invalid_dpop_proof" => ExchangeError::Misconfigured,
        "invalid_request" => ExchangeError::InvalidRequest,
        "temporarily_unavailable" | "server_error" | "internal_failure" => match error.status {
            500..=502 | 504..=599 => ambiguous(error),
            _ => transient(error),
        },
        // Whoever makes proofs repeats with the nonce before asking here; a second demand will pass (XRSP-14).
        "use_dpop_nonce" => transient(error),
        _ => return None,
    })
}

fn by_status(endpoint: Endpoint, error: &ErrorReply<'_>, has_code: bool) -> ExchangeError {
    match error.status {
        200..=299 if has_code => unexplained(error),
        300..=399 | 404 | 405 | 410 | 415 => ExchangeError::Misconfigured,
        401 => match endpoint {
            Endpoint::OAuth { authenticated: true, .. } => ExchangeError::Misconfigured,
            // Nothing that could be wrong was sent about the client, and nothing was said about the refresh token.
            Endpoint::OAuth { authenticated: false, .. } => unexplained(error),
            // A page comes from something in between.
            Endpoint::Json if error.is_page => transient(error),
            Endpoint::Json => ExchangeError::Permanent,
        },
        403 if error.is_page => transient(error),
        403 => match endpoint {
            Endpoint::OAuth { .. } => ExchangeError::Misconfigured,
            Endpoint::Json if error.object.is_some() => ExchangeError::Permanent,
            Endpoint::Json => unexplained(error),
        },
        // The last comes from a captive portal: the request has not reached the server (RFC 6585 §6).
        408 | 425 | 429 | 511 => transient(error),
        503 if error.retry_after.is_some() => transient(error),
        400..=499 => unexplained(error),
        // 5xx, a 2xx without a usable token, and what is not a final status at all.
        _ => ambiguous(error),
    }
}

/// A server that names a time has looked at the request and put it off.
fn unexplained(error: &ErrorReply<'_>) -> ExchangeError {
    if error.retry_after.is_some() { transient(error) } else { ExchangeError::Unexplained }
}

fn ambiguous(error: &ErrorReply<'_>) -> ExchangeError {
    ExchangeError::Ambiguous { retry_after: error.retry_after }
}

fn transient(error: &ErrorReply<'_>) -> ExchangeError {
    ExchangeError::Transient { retry_after: error.retry_after }
}

/// Whether the answer is meant for a human being: the login page of a network, the block page of a firewall. It says
/// nothing about the refresh token.
fn is_page(reply: &Reply<'_>) -> bool {
    let declared = reply.header("content-type").is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or(value).trim();
        ["text/html", "application/xhtml+xml"].iter().any(|page| media_type.eq_ignore_ascii_case(page))
    });
    declared || reply.body.trim_ascii_start().starts_with(b"<")
}
