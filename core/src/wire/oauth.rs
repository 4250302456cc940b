use alloc::{collections::BTreeMap, string::String, vec::Vec};

use form_urlencoded::Serializer;

use crate::{
    ExchangeError, Grant, Secret, Timestamp,
    wire::{
        ClientAuth, ErrorReply, IdTokenSubject, Reply, Request,
        classify::Endpoint,
        dialect::{Dialect, TokenTypeMember},
    },
};

/// A client of an OAuth 2 token endpoint (RFC 6749).
///
/// Makes the requests and reads the answers. By default a request says nothing about scope or resource: the server
/// then gives what was granted before (XREQ-04).
#[derive(Clone, Debug)]
pub struct OAuthClient {
    auth: ClientAuth,
    scope: String,
    resources: Vec<String>,
    parameters: BTreeMap<String, Secret>,
    id_tokens_of: Option<IdTokenSubject>,
    rule: fn(&ErrorReply<'_>) -> Option<ExchangeError>,
}

/// A parameter that the request has a place for elsewhere, and that must not be sent twice (RFC 6749 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter belongs to the request itself; set it through the client's own options")]
pub struct ReservedParameter;

impl OAuthClient {
    const RESERVED: [&str; 13] = [
        "grant_type",
        "refresh_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "assertion",
        "subject_token",
        "subject_token_type",
        "scope",
        "resource",
        "token",
        "token_type_hint",
    ];

    /// A client that authenticates like this.
    pub fn new(auth: ClientAuth) -> Self {
        Self {
            auth,
            scope: String::new(),
            resources: Vec::new(),
            parameters: BTreeMap::new(),
            id_tokens_of: None,
            rule: |_| None,
        }
    }

    /// Authenticates like this instead.
    #[must_use]
    pub fn with_auth(mut self, auth: ClientAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Asks for this scope, which must lie within the one that was granted (RFC 6749 §6, XREQ-04).
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Asks for a token for this resource; call it again for each further one (RFC 8707 §2, XREQ-12).
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Sends this parameter with each token request: `audience`, say. A second value for a name replaces the first.
    ///
    /// # Errors
    /// [`ReservedParameter`] if the request has a place for it elsewhere.
    pub fn with_parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<Secret>,
    ) -> Result<Self, ReservedParameter> {
        let name = name.into();
        if Self::RESERVED.contains(&name.as_str()) {
            return Err(ReservedParameter);
        }
        self.parameters.insert(name, value.into());
        Ok(self)
    }

    /// Takes no answer with an ID Token of anybody else: it is a permanent failure, and nothing of it is used. For a
    /// program that looks into ID Tokens; without this they are kept as they are ([`Grant::extra`]) (XRSP-08).
    #[must_use]
    pub fn with_id_tokens_of(mut self, subject: IdTokenSubject) -> Self {
        self.id_tokens_of = Some(subject);
        self
    }

    /// Asks `rule` first what a failure means, for a server whose errors are not those of RFC 6749; where it answers
    /// `None`, the usual rules decide (XRSP-10). It must be pure and must not panic (CHAL-10).
    #[must_use]
    pub fn with_rule(mut self, rule: fn(&ErrorReply<'_>) -> Option<ExchangeError>) -> Self {
        self.rule = rule;
        self
    }

    /// The refresh grant (RFC 6749 §6, XREQ-01).
    pub fn refresh(&self, refresh_token: &Secret) -> Request {
        self.token_request(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())])
    }

    /// The client credentials grant (RFC 6749 §4.4), for a session without a refresh token.
    pub fn client_credentials(&self) -> Request {
        self.token_request(&[("grant_type", "client_credentials")])
    }

    /// A JWT as the grant (RFC 7523 §2.1), good for this request.
    pub fn jwt_bearer(&self, assertion: &Secret) -> Request {
        self.token_request(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.expose()),
        ])
    }

    /// A token exchange (RFC 8693 §2.1): a token of this type for one of this server. What else it needs is a parameter:
    /// `audience`, `requested_token_type`.
    pub fn token_exchange(&self, subject_token: &Secret, subject_token_type: &str) -> Request {
        self.token_request(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject_token.expose()),
            ("subject_token_type", subject_token_type),
        ])
    }

    /// The revocation of a refresh token, for the revocation endpoint (RFC 7009 §2.1).
    pub fn revocation(&self, refresh_token: &Secret) -> Request {
        let mut form = self.auth.parameters();
        form.extend([("token", refresh_token.expose()), ("token_type_hint", "refresh_token")]);
        self.post(&form)
    }

    /// What the token endpoint answered. `now` is the wall-clock time, for a `Retry-After` date in an answer without
    /// a date of its own.
    ///
    /// # Errors
    /// Why there is no grant: by the code in the answer, else by its status (XRSP-10). A 2xx that cannot be used is
    /// [`ExchangeError::Ambiguous`], since the refresh token is probably spent (XRSP-09).
    pub fn read(&self, reply: &Reply<'_>, now: Timestamp) -> Result<Grant, ExchangeError> {
        let dialect = Dialect {
            access_token: "access_token",
            refresh_token: "refresh_token",
            expires_in: "expires_in",
            token_type: TokenTypeMember::Required,
            endpoint: Endpoint::OAuth {
                authenticated: self.auth.authenticates(),
                scoped: !self.scope.is_empty(),
            },
            id_tokens_of: self.id_tokens_of.as_ref(),
            rule: self.rule,
        };
        dialect.read(reply, now)
    }

    fn token_request(&self, grant: &[(&str, &str)]) -> Request {
        let mut form = grant.to_vec();
        form.extend(self.auth.parameters());
        form.push(("scope", &self.scope));
        form.extend(self.resources.iter().map(|resource| ("resource", resource.as_str())));
        form.extend(self.parameters.iter().map(|(name, value)| (name.as_str(), value.expose())));
        self.post(&form)
    }

    fn post(&self, form: &[(&str, &str)]) -> Request {
        let request = Request::new("application/x-www-form-urlencoded", encode(form));
        match self.auth.authorization() {
            Some(value) => request.with_header("authorization", value),
            None => request,
        }
    }
}

/// The form, without its empty parameters (RFC 6749 §3.2: sent without a value is the same as not sent).
fn encode(form: &[(&str, &str)]) -> Secret {
    // As large as it can get, because growing would leave copies of the secrets behind.
    let room = form.iter().fold(0_usize, |room, (name, value)| {
        room.saturating_add(name.len().saturating_add(value.len()).saturating_mul(3)).saturating_add(2)
    });
    let mut encoder = Serializer::new(String::with_capacity(room));
    encoder.extend_pairs(form.iter().filter(|(_, value)| !value.is_empty()));
    Secret::new(encoder.finish())
}
