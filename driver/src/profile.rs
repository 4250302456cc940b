use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use token_refresh_core::{
    ExchangeError, Grant, Renewal, Scope, Secret, Timestamp, TokenType,
    wire::{self, JsonEndpoint, OAuthClient, Reply},
};

use crate::{
    Endpoint, Profile,
    secret_bytes::{bytes, header_value},
};

/// An OAuth 2 token endpoint (RFC 6749), with or without a revocation endpoint (RFC 7009).
///
/// ```
/// use token_refresh_driver::{Endpoint, OAuthProfile, wire::{ClientAuth, OAuthClient}};
///
/// let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
/// let profile = OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example.com/token")?)
///     .with_revocation_at(Endpoint::https("https://auth.example.com/revoke")?);
/// # Ok::<(), token_refresh_driver::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OAuthProfile {
    client: OAuthClient,
    renewal: Renewal,
    token: Endpoint,
    revocation: Option<Endpoint>,
}

impl OAuthProfile {
    /// The refresh grant (RFC 6749 §6).
    pub fn refresh_token(client: OAuthClient, token: Endpoint) -> Self {
        Self { client, renewal: Renewal::RefreshToken, token, revocation: None }
    }

    /// The client credentials grant (RFC 6749 §4.4): nobody has to sign in.
    pub fn client_credentials(client: OAuthClient, token: Endpoint) -> Self {
        Self { client, renewal: Renewal::Ambient, token, revocation: None }
    }

    fn ask(&self, client: &OAuthClient, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        let request = match (self.renewal, refresh) {
            (Renewal::RefreshToken, Some(refresh)) => client.refresh(refresh),
            (Renewal::RefreshToken, None) => return Err(ExchangeError::Misconfigured),
            (Renewal::Ambient, _) => client.client_credentials(),
        };
        post(&self.token, &request)
    }

    /// Revokes the refresh token of a session that ends (SESS-05).
    #[must_use]
    pub fn with_revocation_at(mut self, revocation: Endpoint) -> Self {
        self.revocation = Some(revocation);
        self
    }
}

impl Profile for OAuthProfile {
    fn renewal(&self) -> Renewal {
        self.renewal
    }

    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.ask(&self.client, refresh)
    }

    fn request_without_scope(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.ask(&self.client.clone().with_scope(""), refresh)
    }

    fn read(&self, response: &Response<Bytes>, now: Timestamp) -> Result<Grant, ExchangeError> {
        with_reply(response, |reply| self.client.read(reply, now)).and_then(without_proof)
    }

    fn revocation(&self, refresh: &Secret) -> Option<Request<Bytes>> {
        post(self.revocation.as_ref()?, &self.client.revocation(refresh)).ok()
    }
}

/// An endpoint of one's own that takes and gives JSON.
#[derive(Clone, Debug)]
pub struct JsonProfile {
    format: JsonEndpoint,
    token: Endpoint,
}

impl JsonProfile {
    /// An endpoint of this format.
    pub fn new(format: JsonEndpoint, token: Endpoint) -> Self {
        Self { format, token }
    }
}

impl Profile for JsonProfile {
    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        post(&self.token, &self.format.request(refresh))
    }

    fn read(&self, response: &Response<Bytes>, now: Timestamp) -> Result<Grant, ExchangeError> {
        with_reply(response, |reply| self.format.read(reply, now))
    }
}

/// The request of one attempt.
pub(crate) fn request_for(
    profile: &dyn Profile,
    refresh: Option<&Secret>,
    scope: Scope,
) -> Result<Request<Bytes>, ExchangeError> {
    match scope {
        Scope::Configured => profile.request(refresh),
        Scope::Granted => profile.request_without_scope(refresh),
    }
}

/// One POST to the endpoint. A request that cannot be written down is the operator's to mend.
fn post(endpoint: &Endpoint, request: &wire::Request) -> Result<Request<Bytes>, ExchangeError> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = HeaderName::try_from(name).map_err(|_| ExchangeError::Misconfigured)?;
        headers.insert(name, header_value(value.clone()).ok_or(ExchangeError::Misconfigured)?);
    }
    let mut post = Request::new(bytes(request.body().clone()));
    *post.method_mut() = Method::POST;
    *post.uri_mut() = endpoint.uri().clone();
    *post.headers_mut() = headers;
    Ok(post)
}

/// A token that is bound to a key is of no use here, where no proof of the key is made (AUTH-02, AUTH-07).
fn without_proof(grant: Grant) -> Result<Grant, ExchangeError> {
    if grant.token_type() == TokenType::Bearer { Ok(grant) } else { Err(ExchangeError::Misconfigured) }
}

fn with_reply<R>(response: &Response<Bytes>, read: impl FnOnce(&Reply<'_>) -> R) -> R {
    let headers: Vec<(&str, &[u8])> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), HeaderValue::as_bytes(value)))
        .collect();
    read(&Reply { status: response.status().as_u16(), headers: &headers, body: response.body() })
}
