//! For programs that are built on `token-refresh-driver`: what the settings of the kit mean there.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::json;
use token_refresh_core::{
    ExchangeError, Grant, Renewal, Secret, Timestamp,
    wire::{self, JsonEndpoint, OAuthClient},
};
use token_refresh_driver::{
    AllowedOrigins, Config, CookieProfile, Endpoint, EndpointError, JsonProfile, OAuthProfile, Profile,
    Rules, Session, SessionBuilder, store::FileStore,
};

use super::protocol::{Ability, Cause, ClientAuth, Profile as Chosen, Settings, Tokens};

/// What every session of the driver is able to do.
pub const ABILITIES: [Ability; 10] = [
    Ability::Oauth,
    Ability::Json,
    Ability::Cookie,
    Ability::ClientCredentials,
    Ability::Basic,
    Ability::Post,
    Ability::SignOut,
    Ability::Revoke,
    Ability::Store,
    Ability::Queue,
];

/// The cookie that is the refresh token of the cookie profile.
const REFRESH_COOKIE: &str = "refresh_token";

/// How long a program waits for what it owes to its store.
const SOON: Duration = Duration::from_secs(2);

/// A session with the numbers and the store of the settings.
///
/// # Errors
/// The store cannot be opened.
pub fn builder(settings: &Settings) -> Result<SessionBuilder, Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.exchange_limit = Duration::from_millis(settings.exchange_limit_ms);
    config.max_waiters = settings.max_waiting;
    // All processes are on one machine, and their tests are in a hurry.
    (config.send_limit, config.skew) = (config.send_limit.min(config.exchange_limit), Duration::ZERO);
    let builder = Session::builder().config(config).time_limit(Duration::from_millis(settings.time_limit_ms));
    Ok(match &settings.store {
        Some(file) => builder.store(FileStore::open(file)?),
        None => builder,
    })
}

/// How the settings say that a token is got.
///
/// # Errors
/// The endpoint is neither `https` nor on a loopback address.
pub fn profile(settings: &Settings) -> Result<AnyProfile, EndpointError> {
    let token = Endpoint::https_or_loopback(&settings.token_endpoint)?;
    let client_id = settings.client_id.clone();
    let client_secret = Secret::from(settings.client_secret.as_deref().unwrap_or_default());
    let client = OAuthClient::new(match settings.client_auth {
        ClientAuth::None => wire::ClientAuth::None { client_id },
        ClientAuth::Basic => wire::ClientAuth::Basic { client_id, client_secret },
        ClientAuth::Post => wire::ClientAuth::Post { client_id, client_secret },
    });
    let oauth = match settings.profile {
        Chosen::Json => {
            return Ok(AnyProfile::Json(Box::new(JsonProfile::new(JsonEndpoint::new(), token))));
        }
        Chosen::Cookie => {
            let profile = CookieProfile::new(JsonEndpoint::new(), token, REFRESH_COOKIE);
            return Ok(AnyProfile::Cookie(Box::new(profile)));
        }
        Chosen::Oauth => OAuthProfile::refresh_token(client, token),
        Chosen::ClientCredentials => OAuthProfile::client_credentials(client, token),
    };
    Ok(AnyProfile::OAuth(Box::new(match &settings.revocation_endpoint {
        Some(endpoint) => oauth.with_revocation_at(Endpoint::https_or_loopback(endpoint)?),
        None => oauth,
    })))
}

/// Where the token may go.
///
/// # Errors
/// An origin is none.
pub fn rules(settings: &Settings) -> Result<Rules, token_refresh_driver::OriginError> {
    let allow = |allowed: AllowedOrigins, origin: &String| allowed.loopback_http(origin);
    Ok(Rules::new(settings.origins.iter().try_fold(AllowedOrigins::none(), allow)?))
}

/// A session, and what it was made for.
#[derive(Clone, Debug)]
pub struct Account {
    session: Session,
    settings: Settings,
}

impl Account {
    /// The session of these settings.
    pub fn new(session: Session, settings: &Settings) -> Self {
        Self { session, settings: settings.clone() }
    }

    /// Signs in. If others share the session, returns when the store knows.
    ///
    /// # Errors
    /// The tokens are none, or the store is out of reach.
    pub fn sign_in(&self, tokens: &Tokens) -> Result<(), Box<dyn std::error::Error>> {
        self.session.sign_in(self.grant(tokens)?);
        self.stored()
    }

    fn grant(&self, tokens: &Tokens) -> Result<Grant, Box<dyn std::error::Error>> {
        let access_token = tokens.access_token.as_deref().unwrap_or_default();
        if self.settings.profile == Chosen::Cookie {
            // The answer to a sign-in is read by the profile, as a program with cookies would do it.
            let content = json!({ "access_token": access_token, "expires_in": tokens.expires_in });
            let cookies = tokens.refresh_token.iter().map(|value| format!("{REFRESH_COOKIE}={value}"));
            let answer =
                cookies.fold(Response::builder(), |answer, cookie| answer.header(header::SET_COOKIE, cookie));
            let answer = answer.body(content.to_string().into())?;
            return Ok(profile(&self.settings)?.read(&answer, None, Timestamp::ZERO)?);
        }
        let mut grant = Grant::new(access_token)?;
        if let Some(refresh_token) = tokens.refresh_token.as_deref() {
            grant = grant.with_refresh_token(refresh_token)?;
        }
        let lifetime = tokens.expires_in.map(Duration::from_secs);
        Ok(lifetime.into_iter().fold(grant, Grant::with_lifetime))
    }

    /// Signs out. If others share the session, returns when the store knows.
    ///
    /// # Errors
    /// The store is out of reach.
    pub fn sign_out(&self) -> Result<(), Box<dyn std::error::Error>> {
        self.session.sign_out();
        self.stored()
    }

    fn stored(&self) -> Result<(), Box<dyn std::error::Error>> {
        if self.settings.store.is_some() {
            self.session.settle(SOON)?;
        }
        Ok(())
    }

    /// Waits for what is under way. What is not done in time is lost with the process.
    pub fn leave(&self) {
        let _ = self.session.settle(SOON);
    }
}

/// One of the profiles.
#[derive(Clone, Debug)]
pub enum AnyProfile {
    /// OAuth 2.
    OAuth(Box<OAuthProfile>),
    /// An endpoint of one's own.
    Json(Box<JsonProfile>),
    /// The same with cookies.
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

impl From<token_refresh_core::Cause> for Cause {
    fn from(cause: token_refresh_core::Cause) -> Self {
        match cause {
            token_refresh_core::Cause::NeedsSignIn => Self::NeedsSignIn,
            token_refresh_core::Cause::Transient => Self::Transient,
            token_refresh_core::Cause::Misconfigured => Self::Misconfigured,
            token_refresh_core::Cause::Uncertain => Self::Uncertain,
            token_refresh_core::Cause::RefusedAfterRefresh => Self::RefusedAfterRefresh,
        }
    }
}
