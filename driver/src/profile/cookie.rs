use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use token_refresh_core::{ExchangeError, Grant, Renewal, Secret, Timestamp, TokenType, wire::JsonEndpoint};

use super::{
    jar::{self, Jar},
    post, with_reply,
};
use crate::{Endpoint, Profile, secret_bytes::header_value};

/// An endpoint of one's own that knows the session by a refresh cookie.
///
/// The session keeps the cookies itself, as part of its grant: they rotate, are stored, shared with other processes and
/// dropped together with the token that they came with. So the cookies of an exchange that ended after a sign-out are
/// never used (COOK-02), and a cookie store of the HTTP client has no part in it.
///
/// - An answer with an access token in its content is read as [`JsonProfile`](crate::JsonProfile) does, and the token
///   travels in the `Authorization` field.
/// - A 2xx without one, a 204 for example, is a success as well: the access token then *is* the cookies, all but the
///   refresh cookie, and travels in the `Cookie` field, to the origins that the token may go to. If such an answer sets no
///   cookie, the ones from before stay, under a new generation. Their shortest `Max-Age` is the lifetime.
/// - Whether there is a session is for the server to say: without any cookie it is asked too, and 401, 403 with JSON, or
///   a code of its own end the session (COOK-01).
///
/// The answer to a sign-in is read by the same function, and handed to the session:
///
/// ```
/// use token_refresh_driver::{CookieProfile, Endpoint, Profile, Timestamp, wire::JsonEndpoint};
///
/// let endpoint = Endpoint::https("https://app.example/session/refresh")?;
/// let profile = CookieProfile::new(JsonEndpoint::new(), endpoint, "refresh")
///     .with_csrf("x-csrf-token".parse()?, "csrf");
///
/// let signed_in = http::Response::builder()
///     .status(204)
///     .header("set-cookie", "session=abc; Secure; HttpOnly; Max-Age=300")
///     .header("set-cookie", "csrf=123; Secure; Max-Age=300")
///     .header("set-cookie", "refresh=xyz; Secure; HttpOnly; Path=/session")
///     .body(bytes::Bytes::new())?;
/// let grant = profile.read(&signed_in, None, Timestamp::ZERO)?;
/// assert_eq!(grant.access_token().expose(), "session=abc;csrf=123");
/// // session.sign_in(grant);
///
/// let refresh = profile.request(grant.refresh_token())?;
/// assert_eq!(refresh.headers()["cookie"], "session=abc; csrf=123; refresh=xyz");
/// assert_eq!(refresh.headers()["x-csrf-token"], "123");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookieProfile {
    format: JsonEndpoint,
    endpoint: Endpoint,
    refresh_cookie: String,
    fields: HeaderMap,
    csrf: Option<(HeaderName, String)>,
}

impl CookieProfile {
    /// An endpoint of this format. The cookie of this name goes to the endpoint alone, all others go with requests too.
    pub fn new(format: JsonEndpoint, endpoint: Endpoint, refresh_cookie: impl Into<String>) -> Self {
        Self { format, endpoint, refresh_cookie: refresh_cookie.into(), fields: HeaderMap::new(), csrf: None }
    }

    /// Sends this field with the refresh, against cross-site request forgery (COOK-03): `x-requested-with`, say.
    #[must_use]
    pub fn with_field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.insert(name, value);
        self
    }

    /// Sends the value of this cookie in this field, too (COOK-03). [`Rules::csrf`](crate::Rules::csrf) does the same
    /// for requests and their repetitions.
    #[must_use]
    pub fn with_csrf(mut self, field: HeaderName, cookie: impl Into<String>) -> Self {
        self.csrf = Some((field, cookie.into()));
        self
    }
}

impl Profile for CookieProfile {
    fn renewal(&self) -> Renewal {
        Renewal::Cookie
    }

    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        let mut request = post(&self.endpoint, &self.format.request(None))?;
        let headers = request.headers_mut();
        headers.extend(self.fields.clone());
        let Some(cookies) = refresh.map(Secret::expose) else { return Ok(request) };
        let value = |secret| header_value(secret).ok_or(ExchangeError::Misconfigured);
        headers.insert(header::COOKIE, value(jar::field(cookies))?);
        if let Some((field, cookie)) = &self.csrf
            && let Some(csrf) = jar::cookie(cookies, cookie)
        {
            headers.insert(field, value(Secret::from(csrf))?);
        }
        Ok(request)
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        let told = with_reply(response, |reply| self.format.read_renewal(reply, now))?;
        let mut jar = Jar::of(refresh);
        let lifetime = jar.apply(response.headers(), &self.refresh_cookie);
        let grant = match told {
            Some(grant) => grant,
            None => self.cookies(&jar, lifetime)?,
        };
        match jar.all() {
            Some(all) => grant.with_refresh_token(all).map_err(|_| UNUSABLE),
            None => Ok(grant),
        }
    }
}

/// A success that leaves nothing to send.
const UNUSABLE: ExchangeError = ExchangeError::Ambiguous { retry_after: None };

impl CookieProfile {
    fn cookies(&self, jar: &Jar, lifetime: Option<Duration>) -> Result<Grant, ExchangeError> {
        let pairs = jar.without(&self.refresh_cookie).ok_or(UNUSABLE)?;
        let grant = Grant::new(pairs).map_err(|_| UNUSABLE)?.with_token_type(TokenType::Cookie);
        Ok(lifetime.into_iter().fold(grant, Grant::with_lifetime))
    }
}
