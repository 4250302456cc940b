//! What the driver needs from outside: an HTTP client, the format of the exchange, a store. Blocking.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{
    CommitError, ExchangeError, Grant, Record, Renewal, Secret, StoreError, Stored, Timestamp, Version, wire,
};

use crate::{Changed, Clock};

/// Sends one request of the session's own (a token or a revocation request) and brings back the answer.
///
/// The duties of an implementation:
///
/// - It connects first (name, TCP, TLS), then calls [`Attempt::begin`], and writes the request only if that is `Ok`.
/// - It spends at most [`Attempt::time_to_begin`] before that, and at most [`Attempt::limit`] from there to the last
///   byte of the answer. A blocking call that cannot be bounded must not be used.
/// - It sends once. No retry and no redirect, whatever the status (XREQ-06): a second presentation of a refresh token
///   can end the session.
/// - It does not pass the request through an adapter of this family (CORE-15), and not in TLS early data (XREQ-11).
/// - It brings back any status, with its content after content coding, of which it reads at most
///   [`Attempt::MAX_BODY`] bytes and one more: content that is too long is judged by its status alone (XRSP-01).
///   Content that was cut short is [`TransportError::Ambiguous`].
///
/// A panic is contained, and counts as [`TransportError::Ambiguous`].
pub trait Transport: Send + Sync {
    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// [`TransportError`]: whether a byte of the request may have left.
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError>;
}

/// Why there is no answer. The difference decides whether the refresh token may be presented again (RETRY-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Certainly no byte of the request left: no address, no connection, no TLS, too late.
    #[error("nothing was sent")]
    NotSent,
    /// Everything else: the request may have been processed. When in doubt, this.
    #[error("the request may have been sent, and no whole answer came")]
    Ambiguous,
}

impl From<TransportError> for ExchangeError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NotSent => Self::NotSent,
            TransportError::Ambiguous => Self::Ambiguous { retry_after: None },
        }
    }
}

/// One attempt to send a request: when it may begin, and how long it may take. Clones share the attempt.
#[derive(Clone)]
pub struct Attempt {
    clock: Arc<dyn Clock>,
    send_by: Timestamp,
    limit: Duration,
    sent_at: Arc<OnceLock<Timestamp>>,
}

impl Attempt {
    /// The longest content of an answer that is looked at, in bytes (SEC-06).
    pub const MAX_BODY: usize = wire::MAX_BODY;

    /// An attempt that must begin at `send_by` and be over `limit` after its beginning. For tests of a transport; the
    /// driver makes its own.
    pub fn new(clock: Arc<dyn Clock>, send_by: Timestamp, limit: Duration) -> Self {
        Self { clock, send_by, limit, sent_at: Arc::default() }
    }

    /// To be called when the connection stands and nothing but writing is left to do. Only the first call of an attempt
    /// can be `Ok`, so that a client that tries again by itself is stopped here.
    ///
    /// # Errors
    /// [`TransportError::NotSent`] if it is too late; [`TransportError::Ambiguous`] if the attempt has begun before.
    /// Either way nothing must be written, and the error be handed on.
    pub fn begin(&self) -> Result<(), TransportError> {
        let now = self.clock.now();
        if self.sent_at.get().is_none() && now > self.send_by {
            return Err(TransportError::NotSent);
        }
        self.sent_at.set(now).map_err(|_| TransportError::Ambiguous)
    }

    /// How much time is left to connect; zero if it is too late.
    pub fn time_to_begin(&self) -> Duration {
        self.send_by.since(self.clock.now())
    }

    /// How long the attempt may take, from [`begin`](Self::begin) to the last byte of the answer.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// When it began, if it did.
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.sent_at.get().copied()
    }
}

/// The format of the exchange: what is asked, and what an answer means. One request for one exchange, and no state: an
/// answer may be read and then not be used, because the session ended meanwhile.
///
/// | the server has | take |
/// | --- | --- |
/// | a token endpoint of OAuth 2 | [`OAuthProfile`](crate::OAuthProfile): refresh token, client credentials, JWT bearer, token exchange |
/// | an endpoint of its own with JSON | [`JsonProfile`](crate::JsonProfile) |
/// | such an endpoint and a refresh cookie | [`CookieProfile`](crate::CookieProfile) |
/// | anything else | an implementation of this trait |
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use token_refresh_driver::{ExchangeError, Grant, Profile, Secret, Timestamp};
///
/// /// Puts the refresh token into a field, and gets the new ones as two lines of text.
/// struct TwoLines;
///
/// impl Profile for TwoLines {
///     fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
///         let refresh = refresh.ok_or(ExchangeError::Misconfigured)?;
///         Request::post("https://auth.example/renew")
///             .header("x-refresh-token", refresh.expose())
///             .body(Bytes::new())
///             .map_err(|_| ExchangeError::Misconfigured)
///     }
///
///     fn read(
///         &self,
///         response: &Response<Bytes>,
///         _refresh: Option<&Secret>,
///         _now: Timestamp,
///     ) -> Result<Grant, ExchangeError> {
///         // Only what this server says for certain ends the session; what is not understood may have spent the token.
///         let lost = ExchangeError::Ambiguous { retry_after: None };
///         match response.status().as_u16() {
///             200 => {}
///             401 => return Err(ExchangeError::Permanent),
///             429 => return Err(ExchangeError::Transient { retry_after: None }),
///             _ => return Err(lost),
///         }
///         let text = std::str::from_utf8(response.body()).map_err(|_| lost)?;
///         let (access_token, refresh_token) = text.trim_end().split_once('\n').ok_or(lost)?;
///         Grant::new(access_token).and_then(|grant| grant.with_refresh_token(refresh_token)).map_err(|_| lost)
///     }
/// }
///
/// let answer = Response::new(Bytes::from_static(b"at2\nrt2\n"));
/// assert_eq!(TwoLines.read(&answer, None, Timestamp::ZERO)?.access_token(), &Secret::from("at2"));
/// # Ok::<(), ExchangeError>(())
/// ```
pub trait Profile: Send + Sync {
    /// What an exchange needs.
    fn renewal(&self) -> Renewal {
        Renewal::RefreshToken
    }

    /// The request that asks for a new grant. Called anew for each attempt, so that an assertion is fresh (XREQ-09).
    ///
    /// # Errors
    /// Why there is no request; nothing is sent. [`ExchangeError::Misconfigured`] if only the operator can help.
    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError>;

    /// As [`request`](Self::request), but asking for no scope: the server has refused the one that was asked for
    /// ([`ExchangeError::InvalidScope`]). Default: the same request.
    ///
    /// # Errors
    /// Why there is no request; nothing is sent.
    fn request_without_scope(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.request(refresh)
    }

    /// What the answer to a request with this refresh token means.
    ///
    /// # Errors
    /// Anything but a usable grant.
    fn read(
        &self,
        response: &Response<Bytes>,
        refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError>;

    /// The request that revokes a refresh token (RFC 7009), if the server has an endpoint for it. Called anew for
    /// each attempt. As best one can, and in nobody's way: after a 503 or without a connection it is tried again, three
    /// times in all and within 30 s (RFC 7009 §2.2.1).
    fn revocation(&self, refresh: &Secret) -> Option<Request<Bytes>> {
        let _ = refresh;
        None
    }
}

/// Keeps the record that processes share. Compare-and-set on the version is all it does; it looks at nothing in the
/// record.
///
/// Calls may come from several threads at once. An implementation bounds the time of each call by itself: one that
/// never returns holds up the session until a caller comes and the watchdog gives it up. A panic is contained, and
/// counts as "unavailable".
pub trait Store: Send + Sync {
    /// The record and its version. May be stale: every decision is checked by a commit (rule 12).
    ///
    /// # Errors
    /// [`StoreError`] if the store did not answer or its content cannot be read, which is not the same as an empty
    /// store (PERS-04).
    fn load(&self) -> Result<Stored, StoreError>;

    /// Replaces the record, whole, if its version is still `expected`, and answers with the new version, `expected`
    /// plus one. Durable and linearizable before it answers (rule 12); private to the user (SEC-05).
    ///
    /// # Errors
    /// [`CommitError::Conflict`] if another version is in force and nothing was written;
    /// [`CommitError::Unavailable`] if that is not known.
    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError>;

    /// Called before each load: ready once the record may have changed since then. Must not block. Default: never.
    fn changed(&self) -> Changed {
        Changed::never()
    }
}

/// Ports can be shared between sessions.
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request, attempt)
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self) -> Result<Stored, StoreError> {
        (**self).load()
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        (**self).commit(expected, record)
    }

    fn changed(&self) -> Changed {
        (**self).changed()
    }
}
