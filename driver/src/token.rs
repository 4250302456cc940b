use std::{fmt, time::SystemTime};

use http::{HeaderName, HeaderValue, header};
use token_refresh_core::{Secret, Snapshot, Timestamp, TokenId, TokenType};

use crate::{clock::system_time, profile, secret_bytes::header_value};

/// One access token, ready to be attached to requests: a name for it and the value of the `Authorization` field.
///
/// It is read when a request is about to be sent, and the request remembers its [`id`](Self::id) (AUTH-05). Cheap to
/// clone, and cheapest to be turned into the value of the field:
///
/// ```
/// use http::{HeaderValue, Request, header::AUTHORIZATION};
/// use token_refresh_driver::{Error, Session, Timestamp, TokenId};
///
/// fn attach<B>(session: &Session, request: &mut Request<B>) -> Result<TokenId, Error> {
///     let token = session.token()?;
///     let id = token.id();
///     request.headers_mut().insert(AUTHORIZATION, token.into());
///     Ok(id)
/// }
/// ```
#[derive(Clone)]
pub struct Token {
    id: TokenId,
    end: Option<Timestamp>,
    scheme: &'static str,
    value: HeaderValue,
}

impl Token {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let scheme = snapshot.token_type.scheme();
        let token = snapshot.access_token.expose();
        if snapshot.token_type == TokenType::Cookie {
            return Self {
                id: snapshot.id,
                end: snapshot.end,
                scheme,
                value: value(profile::field(token), scheme),
            };
        }
        // As large as it gets, because growing would leave copies behind.
        let mut text = String::with_capacity(scheme.len() + 1 + token.len());
        text.extend([scheme, " ", token]);
        Self { id: snapshot.id, end: snapshot.end, scheme, value: value(text, scheme) }
    }

    /// The same token in memory of its own, which nobody else counts references to.
    pub(crate) fn copied(&self) -> Self {
        // It was made of visible ASCII.
        let text = self.value.to_str().unwrap_or_default();
        Self { value: value(text, self.scheme), ..*self }
    }

    /// Names the token without showing it: what [`Session::reject`](crate::Session::reject) and
    /// [`Session::accept`](crate::Session::accept) want to know.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The field that it travels in: `Authorization` (RFC 6750 §2.1), or `Cookie` for the token of a
    /// [`CookieProfile`](crate::CookieProfile) that is made of cookies.
    pub fn field(&self) -> HeaderName {
        if self.is_cookies() { header::COOKIE } else { header::AUTHORIZATION }
    }

    /// The value of that field, ready-made and marked sensitive. A clone shares its memory, which is cleared when the
    /// last one is gone.
    pub fn header(&self) -> &HeaderValue {
        &self.value
    }

    /// When its life ends, by what the server said; `None` if it did not say. Only a hint: a server may refuse it before
    /// (TIME-05), and the session replaces it before (CORE-16).
    pub fn expires_at(&self) -> Option<SystemTime> {
        system_time(self.end?)
    }

    /// A copy of the access token itself, for where it travels in another way than in the `Authorization` field.
    pub fn secret(&self) -> Secret {
        let text = self.value.to_str().unwrap_or_default();
        let start = if self.is_cookies() { 0 } else { self.scheme.len() + 1 };
        Secret::from(text.get(start..).unwrap_or_default())
    }

    /// The value of one of its cookies; `None` also for a token that is none.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.value.to_str().ok().filter(|_| self.is_cookies()).and_then(|pairs| profile::cookie(pairs, name))
    }

    fn is_cookies(&self) -> bool {
        self.scheme == TokenType::Cookie.scheme()
    }
}

/// The value of the [field](Token::field).
impl From<Token> for HeaderValue {
    fn from(token: Token) -> Self {
        token.value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn value(text: impl Into<Secret>, scheme: &'static str) -> HeaderValue {
    // A grant holds visible ASCII only, so there is a value; if not, any server refuses the bare scheme.
    header_value(text.into()).unwrap_or_else(|| HeaderValue::from_static(scheme))
}
