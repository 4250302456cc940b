use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use token_refresh_core::{
    Config, ExchangeError, Grant, Renewal, Secret, Timestamp,
    wire::{ClientAuth, IdTokenSubject, JsonEndpoint, OAuthClient},
};
use token_refresh_driver::{
    AllowedOrigins, Clock, CookieProfile, Endpoint, JsonProfile, OAuthProfile, Profile, Rules, Session,
    SessionBuilder, SystemClock,
};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// What a client is to be made of: as data, and as the parts that an adapter of this project is put together from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The token endpoint, `http` on a loopback address.
    pub token_endpoint: String,
    /// What it speaks.
    pub format: Format,
    /// How the client authenticates there.
    pub client: ClientAuth,
    /// The scope to ask for; empty: none.
    pub scope: String,
    /// The resources to ask for.
    pub resources: Vec<String>,
    /// Whose ID Tokens it takes, if it looks at them.
    pub id_tokens_of: Option<IdTokenSubject>,
    /// The revocation endpoint, if there is one.
    pub revocation_endpoint: Option<String>,
    /// The access token to sign in with.
    pub access_token: String,
    /// The refresh token to sign in with, if there is one.
    pub refresh_token: Option<String>,
    /// How long the access token lives, counted from the sign-in; `None` if that is not known.
    pub lifetime: Option<Duration>,
    /// The origins that the token may go to: `https`, or `http` on a loopback address.
    pub origins: Vec<String>,
    /// Whether only an answer that says so refuses the token (CHAL-07).
    pub strict: bool,
    /// What else refuses the token.
    pub refused_if: Option<RefusedIf>,
    /// How long a caller waits for a token.
    pub time_limit: Duration,
    /// Numbers and policies.
    pub config: Config,
    /// Where time comes from.
    pub clock: TestClock,
}

/// What a token endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OAuth 2: forms, and the refresh grant of RFC 6749 §6.
    OAuth,
    /// As `OAuth`, and each request carries an assertion made for it, named `assertion-<n>` (RFC 7523 §2.2).
    Assertions,
    /// An endpoint of one's own: JSON with the usual names.
    Json,
    /// Such an endpoint and a cookie, `refresh_token`. The cookie `csrf` is sent in `x-csrf-token` as well.
    Cookie,
}

/// A caller's own idea of a refusal (CHAL-10).
#[derive(Clone, Debug)]
pub struct RefusedIf {
    /// Only answers with one of these statuses are asked about.
    pub statuses: Vec<u16>,
    /// Is given the status and the beginning of the content.
    pub predicate: fn(u16, &[u8]) -> bool,
}

/// Real time, and as much more as the test says: the machine was suspended, or its clock was set. Clones are one clock.
#[derive(Clone, Debug, Default)]
pub struct TestClock {
    system: Arc<SystemClock>,
    ahead: Arc<AtomicU64>,
}

impl TestClock {
    /// Lets this much time pass at once.
    pub fn advance(&self, span: Duration) {
        self.ahead.fetch_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.system.now().after(Duration::from_millis(self.ahead.load(Ordering::SeqCst)))
    }
}

impl Setup {
    /// A session that only lacks its transport.
    pub fn session(&self) -> SessionBuilder {
        Session::builder().config(self.config.clone()).clock(self.clock.clone()).time_limit(self.time_limit)
    }

    /// The exchange.
    pub fn profile(&self) -> impl Profile + use<> {
        let endpoint = |url: &String| Endpoint::https_or_loopback(url).expect("a loopback address");
        let token = endpoint(&self.token_endpoint);
        match self.format {
            Format::OAuth | Format::Assertions => {
                let client = OAuthClient::new(self.client.clone()).with_scope(&*self.scope);
                let client = self.resources.iter().fold(client, OAuthClient::with_resource);
                let client = self.id_tokens_of.iter().cloned().fold(client, OAuthClient::with_id_tokens_of);
                let revocation = self.revocation_endpoint.iter().map(endpoint);
                let profile = OAuthProfile::refresh_token(client, token);
                let profile = revocation.fold(profile, OAuthProfile::with_revocation_at);
                AnyProfile::OAuth(Box::new(if self.format == Format::Assertions {
                    let made = AtomicU64::default();
                    profile.with_client_assertion("test", move || {
                        Ok(Secret::from(format!("assertion-{}", made.fetch_add(1, Ordering::SeqCst))))
                    })
                } else {
                    profile
                }))
            }
            Format::Json => AnyProfile::Json(Box::new(JsonProfile::new(JsonEndpoint::new(), token))),
            Format::Cookie => AnyProfile::Cookie(Box::new(
                CookieProfile::new(JsonEndpoint::new(), token, "refresh_token").with_csrf(CSRF, "csrf"),
            )),
        }
    }

    /// What the client signs in with.
    pub fn grant(&self) -> Grant {
        let cookie = |token: &String| match self.format {
            Format::OAuth | Format::Assertions | Format::Json => token.clone(),
            Format::Cookie => format!("refresh_token={token}"),
        };
        grant(&self.access_token, self.refresh_token.as_ref().map(cookie).as_deref(), self.lifetime)
    }

    /// Which requests get the token, and which answers refuse it.
    pub fn rules(&self) -> Rules {
        let allow = |allowed: AllowedOrigins, origin: &String| {
            let https = origin.starts_with("https:");
            if https { allowed.https(origin) } else { allowed.loopback_http(origin) }.expect("an origin")
        };
        let mut rules = Rules::new(self.origins.iter().fold(AllowedOrigins::none(), allow));
        if self.format == Format::Cookie {
            rules = rules.csrf(CSRF, "csrf");
        }
        if self.strict {
            rules = rules.strict();
        }
        if let Some(RefusedIf { statuses, predicate }) = self.refused_if.clone() {
            rules = rules.refused_if(statuses, move |answer| predicate(answer.status, answer.body));
        }
        rules
    }
}

pub(super) fn grant(access: &str, refresh: Option<&str>, lifetime: Option<Duration>) -> Grant {
    let grant = Grant::new(access).expect("a token");
    let grant =
        refresh.into_iter().fold(grant, |grant, token| grant.with_refresh_token(token).expect("a token"));
    lifetime.into_iter().fold(grant, Grant::with_lifetime)
}

/// Of what is asked for, one.
#[derive(Debug)]
enum AnyProfile {
    OAuth(Box<OAuthProfile>),
    Json(Box<JsonProfile>),
    Cookie(Box<CookieProfile>),
}

impl AnyProfile {
    fn inner(&self) -> &dyn Profile {
        match self {
            Self::OAuth(profile) => &**profile,
            Self::Json(profile) => &**profile,
            Self::Cookie(profile) => &**profile,
        }
    }
}

impl Profile for AnyProfile {
    fn renewal(&self) -> Renewal {
        self.inner().renewal()
    }

    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.inner().request(refresh)
    }

    fn request_without_scope(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        self.inner().request_without_scope(refresh)
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        self.inner().read(response, refresh, now)
    }

    fn revocation(&self, refresh: &Secret) -> Option<Request<Bytes>> {
        self.inner().revocation(refresh)
    }
}
