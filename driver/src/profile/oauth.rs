use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{
    ExchangeError, Grant, Renewal, Secret, Timestamp, TokenType,
    wire::{ClientAuth, OAuthClient},
};

use super::{post, with_reply};
use crate::{Endpoint, Profile};

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
///
/// # Fresh assertions
///
/// Where a proof is good for one attempt only (XREQ-09), the profile asks for it anew before each. The callback runs
/// where the exchange runs: on a thread of a blocking session, in a task of an async one, where it must not block. Its
/// error ends the attempt, and nothing is sent; a panic counts as [`ExchangeError::Misconfigured`].
///
/// ```
/// use token_refresh_driver::{Endpoint, ExchangeError, OAuthProfile, Secret, wire::{ClientAuth, OAuthClient}};
///
/// // A JWT of one's own, signed now: iss, sub, aud, a new jti, iat, and an exp soon after.
/// fn sign() -> Result<Secret, ExchangeError> {
///     # fn sign_jwt() -> Option<String> { None }
///     // The key is in a device that is not there now: that will pass.
///     let jwt = sign_jwt().ok_or(ExchangeError::Transient { retry_after: None })?;
///     Ok(Secret::from(jwt))
/// }
///
/// let endpoint = || Endpoint::https("https://auth.example.com/token");
/// let client = || OAuthClient::new(ClientAuth::None { client_id: "app".into() });
/// // private_key_jwt: the refresh grant, with a proof of who the client is.
/// OAuthProfile::refresh_token(client(), endpoint()?).with_client_assertion("app", sign);
/// // The assertion itself is the grant (RFC 7523 §2.1).
/// OAuthProfile::jwt_bearer(client(), endpoint()?, sign);
/// // A token of another kind is exchanged for one of this server (RFC 8693).
/// OAuthProfile::token_exchange(client(), endpoint()?, "urn:ietf:params:oauth:token-type:jwt", sign);
/// # Ok::<(), token_refresh_driver::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct OAuthProfile {
    client: OAuthClient,
    grant: GrantType,
    assertion: Option<(String, Source)>,
    token: Endpoint,
    revocation: Option<Endpoint>,
}

/// Makes a proof for one attempt.
type Source = Arc<dyn Fn() -> Result<Secret, ExchangeError> + Send + Sync>;

/// What is presented for an access token.
#[derive(Clone)]
enum GrantType {
    RefreshToken,
    ClientCredentials,
    JwtBearer(Source),
    TokenExchange { subject_token_type: String, subject_token: Source },
}

impl OAuthProfile {
    /// The refresh grant (RFC 6749 §6).
    pub fn refresh_token(client: OAuthClient, token: Endpoint) -> Self {
        Self::new(client, token, GrantType::RefreshToken)
    }

    /// The client credentials grant (RFC 6749 §4.4): nobody has to sign in.
    pub fn client_credentials(client: OAuthClient, token: Endpoint) -> Self {
        Self::new(client, token, GrantType::ClientCredentials)
    }

    /// A JWT as the grant (RFC 7523 §2.1), made anew for each attempt. Nobody has to sign in.
    pub fn jwt_bearer(
        client: OAuthClient,
        token: Endpoint,
        assertion: impl Fn() -> Result<Secret, ExchangeError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(client, token, GrantType::JwtBearer(Arc::new(assertion)))
    }

    /// A token exchange (RFC 8693): a token of this type, asked for anew for each attempt, is the grant. Nobody has to
    /// sign in. What else the request needs is a parameter of the client: `audience`, `requested_token_type`.
    pub fn token_exchange(
        client: OAuthClient,
        token: Endpoint,
        subject_token_type: impl Into<String>,
        subject_token: impl Fn() -> Result<Secret, ExchangeError> + Send + Sync + 'static,
    ) -> Self {
        let subject_token_type = subject_token_type.into();
        let subject_token = Arc::new(subject_token);
        Self::new(client, token, GrantType::TokenExchange { subject_token_type, subject_token })
    }

    fn new(client: OAuthClient, token: Endpoint, grant: GrantType) -> Self {
        Self { client, grant, assertion: None, token, revocation: None }
    }

    /// The client proves who it is by a JWT that is made anew for each attempt (RFC 7523 §2.2; XREQ-09). Takes the place
    /// of the client's own [`ClientAuth`].
    #[must_use]
    pub fn with_client_assertion(
        mut self,
        client_id: impl Into<String>,
        assertion: impl Fn() -> Result<Secret, ExchangeError> + Send + Sync + 'static,
    ) -> Self {
        let client_id = client_id.into();
        // Whoever sends an assertion is authenticated; the answers are read with that in mind.
        self.client = self.client.with_auth(client_assertion(&client_id, Secret::from("")));
        self.assertion = Some((client_id, Arc::new(assertion)));
        self
    }

    /// Revokes the refresh token of a session that ends (SESS-05).
    #[must_use]
    pub fn with_revocation_at(mut self, revocation: Endpoint) -> Self {
        self.revocation = Some(revocation);
        self
    }

    fn ask(&self, client: OAuthClient, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        let client = self.authenticated(client)?;
        let request = match (&self.grant, refresh) {
            (GrantType::RefreshToken, Some(refresh)) => client.refresh(refresh),
            (GrantType::RefreshToken, None) => return Err(ExchangeError::Misconfigured),
            (GrantType::ClientCredentials, _) => client.client_credentials(),
            (GrantType::JwtBearer(assertion), _) => client.jwt_bearer(&fresh(assertion)?),
            (GrantType::TokenExchange { subject_token_type, subject_token }, _) => {
                client.token_exchange(&fresh(subject_token)?, subject_token_type)
            }
        };
        post(&self.token, &request)
    }

    fn authenticated(&self, client: OAuthClient) -> Result<OAuthClient, ExchangeError> {
        let Some((client_id, assertion)) = &self.assertion else { return Ok(client) };
        Ok(client.with_auth(client_assertion(client_id, fresh(assertion)?)))
    }
}

impl Profile for OAuthProfile {
    fn renewal(&self) -> Renewal {
        match self.grant {
            GrantType::RefreshToken => Renewal::RefreshToken,
            GrantType::ClientCredentials | GrantType::JwtBearer(_) | GrantType::TokenExchange { .. } => {
                Renewal::Ambient
            }
        }
    }

    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.ask(self.client.clone(), refresh)
    }

    fn request_without_scope(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.ask(self.client.clone().with_scope(""), refresh)
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        _refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        with_reply(response, |reply| self.client.read(reply, now)).and_then(without_proof)
    }

    fn revocation(&self, refresh: &Secret) -> Option<Request<Bytes>> {
        let client = self.authenticated(self.client.clone()).ok()?;
        post(self.revocation.as_ref()?, &client.revocation(refresh)).ok()
    }
}

impl fmt::Debug for OAuthProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthProfile")
            .field("client", &self.client)
            .field("token", &self.token)
            .field("revocation", &self.revocation)
            .finish_non_exhaustive()
    }
}

fn client_assertion(client_id: &str, assertion: Secret) -> ClientAuth {
    ClientAuth::Assertion { client_id: client_id.to_owned(), assertion }
}

fn fresh(source: &Source) -> Result<Secret, ExchangeError> {
    catch_unwind(AssertUnwindSafe(|| source())).unwrap_or(Err(ExchangeError::Misconfigured))
}

/// A token that is bound to a key is of no use here, where no proof of the key is made (AUTH-02, AUTH-07).
fn without_proof(grant: Grant) -> Result<Grant, ExchangeError> {
    if grant.token_type() == TokenType::Bearer { Ok(grant) } else { Err(ExchangeError::Misconfigured) }
}
