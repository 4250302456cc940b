use alloc::{boxed::Box, collections::BTreeMap, string::String};
use core::{fmt, time::Duration};

use crate::{Config, Secret, Timestamp, rng::Rng};

/// Counts identities of one session slot: every sign-in and every sign-out starts a new epoch (SESS-01).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Counts access tokens inside one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Names one access token without showing it. A request remembers the id of the token it was sent with, and refuses
/// or accepts that id, so that a late 401 is recognised by comparing two numbers (CORE-04, AUTH-05).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId {
    /// Which identity.
    pub epoch: Epoch,
    /// Which access token of that identity.
    pub generation: Generation,
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.generation.0)
    }
}

/// How an access token is presented (RFC 6749 §7.1). A token of any other type is not used (AUTH-02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenType {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449: the token is bound to a key, and each request carries a proof made with it.
    Dpop,
    /// The token is cookies, `name=value` pairs with a `;` between them, and travels in the `Cookie` field (RFC 6265).
    /// No server says so in an answer; it is what an exchange yields that only sets cookies (COOK-02).
    Cookie,
}

impl TokenType {
    /// Reads the name of a type, in any case; `None` for a type that is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop, Self::Cookie]
            .into_iter()
            .find(|known| known.scheme().eq_ignore_ascii_case(text))
    }

    /// The name of the type, which is also the scheme of the `Authorization` field.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
            Self::Cookie => "Cookie",
        }
    }
}

/// A token that cannot be used: what [`Grant`] refuses to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGrant {
    /// AUTH-03.
    #[error("the access token is empty or has characters other than visible ASCII")]
    AccessToken,
    /// RFC 6749 A.17.
    #[error("the refresh token is empty or has characters other than printable ASCII")]
    RefreshToken,
    /// AUTH-02.
    #[error("the type of the access token is not understood")]
    TokenType,
}

/// What a sign-in or an exchange yields (RFC 6749 §5.1). Always holds tokens that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    access_token: Secret,
    refresh_token: Option<Secret>,
    token_type: TokenType,
    lifetime: Option<Duration>,
    scope: Option<Box<str>>,
    #[expect(
        clippy::box_collection,
        reason = "most grants have none, and a program may hold a great many grants"
    )]
    extra: Option<Box<BTreeMap<Box<str>, Secret>>>,
}

impl Grant {
    /// A bearer token of unknown lifetime, without a refresh token.
    ///
    /// # Errors
    /// [`InvalidGrant::AccessToken`] if the token could not stand in a header field (AUTH-03).
    pub fn new(access_token: impl Into<Secret>) -> Result<Self, InvalidGrant> {
        let access_token = access_token.into();
        if !access_token.is_token() {
            return Err(InvalidGrant::AccessToken);
        }
        Ok(Self {
            access_token,
            refresh_token: None,
            token_type: TokenType::default(),
            lifetime: None,
            scope: None,
            extra: None,
        })
    }

    /// With this refresh token.
    ///
    /// # Errors
    /// [`InvalidGrant::RefreshToken`] if it is empty or not printable ASCII (RFC 6749 A.17).
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret>) -> Result<Self, InvalidGrant> {
        let refresh_token = refresh_token.into();
        if !refresh_token.is_printable() {
            return Err(InvalidGrant::RefreshToken);
        }
        self.refresh_token = Some(refresh_token);
        Ok(self)
    }

    /// With this token type.
    #[must_use]
    pub fn with_token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// With this lifetime, counted from the instant at which the request for the grant was sent (TIME-01).
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// With this scope, as the server wrote it (XRSP-06).
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into().into_boxed_str());
        self
    }

    /// With a further member of the answer, kept as JSON text and never looked into: an `id_token`, say.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, json: impl Into<Secret>) -> Self {
        self.extra.get_or_insert_default().insert(name.into().into_boxed_str(), json.into());
        self
    }

    /// The access token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// The refresh token, if there is one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// How the access token is presented.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// How long the access token lives, if the server said so. Only a hint (TIME-05).
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// The scope, if the server said so.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The other members of the answer, as JSON text.
    pub fn extra(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.extra.iter().flat_map(|extra| extra.iter()).map(|(name, json)| (&**name, json))
    }

    /// What is kept when `answer` renews this grant: an absent refresh token or scope means "unchanged"
    /// (RFC 6749 §6; XRSP-03, XRSP-06).
    pub(crate) fn renewed_by(&self, mut answer: Self) -> Self {
        answer.refresh_token = answer.refresh_token.or_else(|| self.refresh_token.clone());
        answer.scope = answer.scope.or_else(|| self.scope.clone());
        answer
    }
}

/// One published access token: what callers read without asking the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Names the token.
    pub id: TokenId,
    /// The token.
    pub access_token: Secret,
    /// How it is presented.
    pub token_type: TokenType,
    /// The scope of the grant, if the server said so.
    pub scope: Option<Box<str>>,
    /// When its life ends, by what the server said. Only a hint (TIME-05). `None` if the lifetime is unknown.
    pub end: Option<Timestamp>,
    /// From here on a caller should call [`Machine::acquire`](crate::Machine::acquire), which still answers with this
    /// token and starts a refresh in the background (CORE-16). `None` if the lifetime is unknown.
    pub soft_end: Option<Timestamp>,
    /// From here on the token must not be used (CORE-16). `None` if the lifetime is unknown.
    pub hard_end: Option<Timestamp>,
}

impl Snapshot {
    /// The ends are bounded by a share of the lifetime, and the jitter is drawn once (TIME-02, TIME-03). A lifetime that
    /// counts from the future, or from the zero of all clocks, says nothing (TIME-08).
    pub(crate) fn new(
        id: TokenId,
        grant: &Grant,
        obtained_at: Timestamp,
        config: &Config,
        rng: &mut Rng,
        now: Timestamp,
    ) -> Self {
        let plausible = obtained_at > Timestamp::ZERO && obtained_at <= now.after(config.skew);
        let lifetime = grant.lifetime.filter(|_| plausible).or(config.default_lifetime);
        let ends = lifetime.map(|lifetime| {
            let end = if plausible { obtained_at } else { now }.after(lifetime);
            let hard = end.before(config.hard_margin.of(lifetime));
            let soft =
                end.before(config.soft_margin.of(lifetime)).before(rng.up_to(config.jitter.of(lifetime)));
            (soft.min(hard), hard, end)
        });
        Self {
            id,
            access_token: grant.access_token.clone(),
            token_type: grant.token_type,
            scope: grant.scope.clone(),
            end: ends.map(|(_, _, end)| end),
            soft_end: ends.map(|(soft, _, _)| soft),
            hard_end: ends.map(|(_, hard, _)| hard),
        }
    }

    /// Whether a caller may use the token at `now` without asking the machine.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.soft_end.is_none_or(|end| now < end)
    }

    /// Whether the token may be used at all at `now`. A refusal is not known here.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.hard_end.is_none_or(|end| now < end)
    }
}
