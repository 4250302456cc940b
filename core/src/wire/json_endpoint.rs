use alloc::{collections::BTreeMap, string::String};

use crate::{
    ExchangeError, Grant, Secret, Timestamp,
    wire::{
        ErrorReply, Reply, Request,
        classify::Endpoint,
        dialect::{Dialect, TokenTypeMember},
        json,
    },
};

/// An endpoint of one's own API that answers a POST of JSON with JSON: the way of many programs that are not OAuth.
///
/// By default it sends `{"refresh_token": …}` and reads `access_token`, `refresh_token` and `expires_in` (seconds);
/// `scope` and `token_type` are read if they are there, and without a `token_type` the token is a bearer token. Where
/// a member is read its place may be a dotted path.
///
/// ```
/// use token_refresh_core::{Secret, Timestamp, wire::{JsonEndpoint, Reply}};
///
/// let endpoint = JsonEndpoint::new()
///     .with_request_member("token")
///     .with_constant("clientId", r#""web""#)?
///     .with_access_token_at("data.token");
/// let request = endpoint.request(Some(&Secret::from("rt1")));
/// assert_eq!(request.body().expose(), r#"{"token":"rt1","clientId":"web"}"#);
///
/// let reply = Reply { status: 200, headers: &[], body: br#"{"data":{"token":"at2"}}"# };
/// assert!(endpoint.read(&reply, Timestamp::ZERO).is_ok());
/// # Ok::<(), token_refresh_core::wire::InvalidMember>(())
/// ```
#[derive(Clone, Debug)]
pub struct JsonEndpoint {
    request_member: String,
    constants: BTreeMap<String, Secret>,
    access_token: String,
    refresh_token: String,
    expires_in: String,
    rule: fn(&ErrorReply<'_>) -> Option<ExchangeError>,
}

/// The value of a constant member is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of the member is not JSON text; a string needs its quotation marks")]
pub struct InvalidMember;

impl Default for JsonEndpoint {
    fn default() -> Self {
        Self {
            request_member: "refresh_token".into(),
            constants: BTreeMap::new(),
            access_token: "access_token".into(),
            refresh_token: "refresh_token".into(),
            expires_in: "expires_in".into(),
            rule: |_| None,
        }
    }
}

impl JsonEndpoint {
    /// An endpoint with the default names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the refresh token under this name.
    #[must_use]
    pub fn with_request_member(mut self, name: impl Into<String>) -> Self {
        self.request_member = name.into();
        self
    }

    /// Sends this member too, with a value in JSON text.
    ///
    /// # Errors
    /// [`InvalidMember`] if the value is not JSON.
    pub fn with_constant(
        mut self,
        name: impl Into<String>,
        value: impl Into<Secret>,
    ) -> Result<Self, InvalidMember> {
        let value = value.into();
        if !json::is_json(value.expose()) {
            return Err(InvalidMember);
        }
        self.constants.insert(name.into(), value);
        Ok(self)
    }

    /// Reads the access token from this path.
    #[must_use]
    pub fn with_access_token_at(mut self, path: impl Into<String>) -> Self {
        self.access_token = path.into();
        self
    }

    /// Reads the refresh token from this path.
    #[must_use]
    pub fn with_refresh_token_at(mut self, path: impl Into<String>) -> Self {
        self.refresh_token = path.into();
        self
    }

    /// Reads the lifetime, in seconds, from this path.
    #[must_use]
    pub fn with_expires_in_at(mut self, path: impl Into<String>) -> Self {
        self.expires_in = path.into();
        self
    }

    /// Asks `rule` first what a failure means; where it answers `None`, the usual rules decide: an `error` member
    /// with a code of RFC 6749, else the status (XRSP-10). It must be pure and must not panic (CHAL-10).
    ///
    /// ```
    /// use token_refresh_core::{ExchangeError, wire::JsonEndpoint};
    ///
    /// // {"message":"Invalid refresh token","status":400}
    /// let endpoint = JsonEndpoint::new().with_rule(|reply| match reply.member("message")?.as_str() {
    ///     "Invalid refresh token" => Some(ExchangeError::Permanent),
    ///     _ => None,
    /// });
    /// ```
    #[must_use]
    pub fn with_rule(mut self, rule: fn(&ErrorReply<'_>) -> Option<ExchangeError>) -> Self {
        self.rule = rule;
        self
    }

    /// The request; without a refresh token where the credential is a cookie.
    pub fn request(&self, refresh_token: Option<&Secret>) -> Request {
        Request::new("application/json", self.body(refresh_token))
    }

    /// What the endpoint answered. `now` is the wall-clock time, for a `Retry-After` date in an answer without a date
    /// of its own.
    ///
    /// # Errors
    /// Why there is no grant. A 401 without a code is the refusal of the refresh token here (XRSP-13); a 2xx that
    /// cannot be used is [`ExchangeError::Ambiguous`] (XRSP-09).
    pub fn read(&self, reply: &Reply<'_>, now: Timestamp) -> Result<Grant, ExchangeError> {
        self.dialect().read(reply, now)
    }

    /// As [`read`](Self::read), for an endpoint whose tokens are cookies: `Ok(None)` is a success that holds no access
    /// token, a 204 for example (COOK-02).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_renewal(&self, reply: &Reply<'_>, now: Timestamp) -> Result<Option<Grant>, ExchangeError> {
        self.dialect().read_renewal(reply, now)
    }

    fn dialect(&self) -> Dialect<'_> {
        Dialect {
            access_token: &self.access_token,
            refresh_token: &self.refresh_token,
            expires_in: &self.expires_in,
            token_type: TokenTypeMember::Optional,
            endpoint: Endpoint::Json,
            id_tokens_of: None,
            rule: self.rule,
        }
    }

    fn body(&self, refresh_token: Option<&Secret>) -> Secret {
        let refresh_token = refresh_token.map(|token| (self.request_member.as_str(), token));
        let constants = self
            .constants
            .iter()
            .map(|(name, json)| (name.as_str(), json))
            .filter(|(name, _)| refresh_token.is_none_or(|(taken, _)| taken != *name));

        // As large as it can get, because growing would leave copies of the secrets behind.
        let room =
            refresh_token.iter().copied().chain(constants.clone()).fold(2_usize, |room, (name, value)| {
                let member = json::quoted_room(name).saturating_add(json::quoted_room(value.expose()));
                room.saturating_add(member).saturating_add(2)
            });
        let mut body = String::with_capacity(room);
        body.push('{');
        if let Some((name, token)) = refresh_token {
            json::push_quoted(&mut body, name);
            body.push(':');
            json::push_quoted(&mut body, token.expose());
        }
        for (name, json) in constants {
            if !body.ends_with('{') {
                body.push(',');
            }
            json::push_quoted(&mut body, name);
            body.push(':');
            body.push_str(json.expose());
        }
        body.push('}');
        Secret::new(body)
    }
}
