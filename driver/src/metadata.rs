//! Where the endpoints of an authorization server are, by its own account (RFC 8414).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use serde_json::{Map, Value};
use token_refresh_core::Timestamp;

use crate::{
    AsyncTransport, Attempt, Clock, Endpoint, EndpointError, Sleep, SystemClock, Transport, TransportError,
    timer::{Sleeping, Timer},
};

/// The issuer identifier of an authorization server (RFC 8414 §2), from which its metadata is found.
///
/// Asking is a call of the program's own, made before there is a session. The session itself never looks anything up,
/// least of all because a challenge says so (XREQ-07).
///
/// ```no_run
/// use std::time::Duration;
/// use token_refresh_driver::{Issuer, OAuthProfile, Transport, wire::{ClientAuth, OAuthClient}};
///
/// # fn profile(transport: &impl Transport) -> Result<OAuthProfile, Box<dyn std::error::Error>> {
/// let metadata = Issuer::https("https://auth.example.com")?.metadata(transport, Duration::from_secs(10))?;
/// let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
/// let mut profile = OAuthProfile::refresh_token(client, metadata.token_endpoint);
/// if let Some(revocation) = metadata.revocation_endpoint {
///     profile = profile.with_revocation_at(revocation);
/// }
/// # Ok(profile)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// As it was written: it has to be the same, character by character, in the metadata (RFC 8414 §3.3).
    text: String,
    /// Where the metadata is.
    address: Endpoint,
    loopback: bool,
}

/// What of the metadata a session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Where the token requests go.
    pub token_endpoint: Endpoint,
    /// Where refresh tokens are revoked, if the server says so (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
}

/// Why there is no metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// There was no connection.
    #[error("the authorization server could not be reached")]
    NotSent,
    /// The connection was lost, or it took too long.
    #[error("the authorization server gave no whole answer in time")]
    NoAnswer,
    /// Something other than a document.
    #[error(
        "the metadata was answered with status {0} instead of 200; check the issuer, or try `openid` for a server that \
         knows OpenID Connect discovery only"
    )]
    Status(u16),
    /// Too long, or not a JSON object.
    #[error("the metadata is not a JSON object of at most 1 MiB")]
    NotAnObject,
    /// The document is of another issuer, and must not be used (RFC 8414 §3.3).
    #[error(
        "the metadata names another issuer; write the issuer exactly as the server does, down to the slash at its end"
    )]
    OtherIssuer,
    /// There is no token endpoint in it.
    #[error("the metadata has no token_endpoint")]
    NoTokenEndpoint,
    /// An endpoint that no refresh token may be sent to.
    #[error("the metadata has an endpoint that cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
}

impl Issuer {
    /// The issuer, `https`, without query and fragment.
    ///
    /// # Errors
    /// [`EndpointError`]; its text says what to write instead.
    pub fn https(issuer: &str) -> Result<Self, EndpointError> {
        Self::new(issuer, false)
    }

    /// As [`https`](Self::https), and also takes `http` to a loopback address, for the issuer and for the endpoints that
    /// it names: for development and tests.
    ///
    /// # Errors
    /// [`EndpointError`]; its text says what to write instead.
    pub fn https_or_loopback(issuer: &str) -> Result<Self, EndpointError> {
        Self::new(issuer, true)
    }

    fn new(issuer: &str, loopback: bool) -> Result<Self, EndpointError> {
        let endpoint = endpoint(issuer, loopback)?;
        if endpoint.uri().query().is_some() {
            return Err(EndpointError::Query);
        }
        // Between host and path (RFC 8414 §3.1).
        let path = endpoint.uri().path();
        let origin = issuer.strip_suffix(path).unwrap_or(issuer);
        let address =
            format!("{origin}/.well-known/oauth-authorization-server{}", path.trim_end_matches('/'));
        Ok(Self { text: issuer.to_owned(), address: self::endpoint(&address, loopback)?, loopback })
    }

    /// Asks where `OpenID` Connect Discovery 1.0 §4 has it instead, for a server that has no other.
    ///
    /// # Errors
    /// [`EndpointError`], if the issuer has no such address.
    pub fn openid(mut self) -> Result<Self, EndpointError> {
        let address = format!("{}/.well-known/openid-configuration", self.text.trim_end_matches('/'));
        self.address = endpoint(&address, self.loopback)?;
        Ok(self)
    }

    /// Asks the server, once. Connecting may take this long, and so may the answer; it is at most 1 MiB. Redirects are not
    /// followed.
    ///
    /// # Errors
    /// [`MetadataError`]; its text says what to check.
    pub fn metadata(&self, transport: &impl Transport, limit: Duration) -> Result<Metadata, MetadataError> {
        let (attempt, _) = attempt(limit);
        self.read(transport.send(self.request(), &attempt))
    }

    /// As [`metadata`](Self::metadata). Cancel safe: a dropped future has asked in vain, and that is all.
    ///
    /// # Errors
    /// [`MetadataError`]; its text says what to check.
    pub async fn metadata_async(
        &self,
        transport: &impl AsyncTransport,
        runtime: &impl Sleep,
        limit: Duration,
    ) -> Result<Metadata, MetadataError> {
        let (attempt, clock) = attempt(limit);
        let connected_by = clock.now().after(limit);
        let deadline = || attempt.sent_at().map_or(connected_by, |sent_at| sent_at.after(limit));
        let sleep = |until: Timestamp| -> Sleeping { Box::pin(runtime.sleep(until.since(clock.now()))) };
        let answer = transport.send(self.request(), &attempt);
        let answer = Timer::limit(answer, deadline, &*clock, sleep).await;
        let late =
            if attempt.sent_at().is_some() { TransportError::Ambiguous } else { TransportError::NotSent };
        self.read(answer.unwrap_or(Err(late)))
    }

    fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.address.uri().clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    fn read(&self, answer: Result<Response<Bytes>, TransportError>) -> Result<Metadata, MetadataError> {
        let answer = answer.map_err(|error| match error {
            TransportError::NotSent => MetadataError::NotSent,
            TransportError::Ambiguous => MetadataError::NoAnswer,
        })?;
        if answer.status() != 200 {
            return Err(MetadataError::Status(answer.status().as_u16()));
        }
        let body = Some(answer.body()).filter(|body| body.len() <= Attempt::MAX_BODY);
        let document: Map<String, Value> =
            body.and_then(|body| serde_json::from_slice(body).ok()).ok_or(MetadataError::NotAnObject)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(&self.text) {
            return Err(MetadataError::OtherIssuer);
        }
        let token = text("token_endpoint").ok_or(MetadataError::NoTokenEndpoint)?;
        let revocation = text("revocation_endpoint").map(|text| endpoint(text, self.loopback)).transpose()?;
        Ok(Metadata { token_endpoint: endpoint(token, self.loopback)?, revocation_endpoint: revocation })
    }
}

fn endpoint(text: &str, loopback: bool) -> Result<Endpoint, EndpointError> {
    if loopback { Endpoint::https_or_loopback(text) } else { Endpoint::https(text) }
}

fn attempt(limit: Duration) -> (Attempt, Arc<dyn Clock>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    (Attempt::new(Arc::clone(&clock), clock.now().after(limit), limit), clock)
}
