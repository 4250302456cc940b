//! Reading token requests and revocation requests: for the server, and for tests that ask what was presented.

use std::time::Duration;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::Value;

use super::{
    ClientAuth, End, Headers, Seen, Verdict,
    message::{Request, credentials},
};

/// Longest content of a token request, in bytes: not more than the log keeps.
const MAX_CONTENT: usize = 64 * 1024;

/// The token endpoint of RFC 6749 §6: a form.
pub(super) const TOKEN: &str = "/token";
/// The token endpoint of many small APIs: a JSON document.
pub(super) const REFRESH: &str = "/refresh";
/// The token endpoint of programs in a browser: the refresh token is in a cookie.
pub(super) const COOKIE: &str = "/cookie";

/// A request to one of the token endpoints that was read whole, whether the server acted on it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// When its head had been read, since the authorization server started.
    pub at: Duration,
    /// The refresh token that it presents.
    pub refresh_token: Option<String>,
    /// How the client authenticates.
    pub client: ClientAuth,
    /// All parameters in order: of the form, or the members of the JSON object.
    pub params: Vec<(String, String)>,
    /// What the server made of it.
    pub verdict: Verdict,
    /// How it ended.
    pub end: End,
}

impl TokenRequest {
    /// Reads an entry of the log; `None` if it is none, or not a well-formed one.
    pub fn of(seen: &Seen) -> Option<Self> {
        let path = seen.target.split('?').next()?;
        if !matches!(path, TOKEN | REFRESH | COOKIE) || seen.method != "POST" {
            return None;
        }
        let content = Content::read(path, &seen.headers, &seen.body).ok()?;
        Some(Self {
            at: seen.at,
            refresh_token: content.param("refresh_token").map(str::to_owned),
            client: content.client,
            params: content.params,
            verdict: seen.verdict,
            end: seen.end,
        })
    }
}

/// What a client sends to the token endpoints and to the revocation endpoint.
pub(super) struct Content {
    pub(super) params: Vec<(String, String)>,
    pub(super) client: ClientAuth,
}

impl Content {
    pub(super) fn of(request: &Request) -> Result<Self, &'static str> {
        Self::read(request.path(), &request.headers, &request.body)
    }

    /// Fails with the error code of RFC 6749 §5.2 that the request deserves.
    fn read(path: &str, headers: &Headers, body: &[u8]) -> Result<Self, &'static str> {
        if path == COOKIE {
            return Ok(Self { params: cookies(headers), client: ClientAuth::None });
        }
        let media_type =
            headers.get("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let wanted = if path == REFRESH { "application/json" } else { "application/x-www-form-urlencoded" };
        if !media_type.eq_ignore_ascii_case(wanted) || body.len() > MAX_CONTENT {
            return Err("invalid_request");
        }
        let params = if path == REFRESH { members(body).ok_or("invalid_request")? } else { form(body) };
        let twice = |name: &str| params.iter().filter(|(found, _)| found == name).count() > 1;
        if params.iter().any(|(name, _)| twice(name)) {
            return Err("invalid_request");
        }
        let mut content = Self { params, client: ClientAuth::None };
        content.client = content.client_auth(headers)?;
        Ok(content)
    }

    /// The value of a parameter; an empty one counts as left out (RFC 6749 §3.2).
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Not more than one method may be used (RFC 6749 §2.3).
    fn client_auth(&self, headers: &Headers) -> Result<ClientAuth, &'static str> {
        let posted = self.param("client_id").zip(self.param("client_secret"));
        match (credentials(headers, "basic"), posted) {
            (None, None) => Ok(ClientAuth::None),
            (None, Some((id, secret))) => {
                Ok(ClientAuth::Post { id: id.to_owned(), secret: secret.to_owned() })
            }
            (Some(basic), None) => basic_auth(basic).ok_or("invalid_client"),
            (Some(_), Some(_)) => Err("invalid_request"),
        }
    }
}

/// Both parts are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic_auth(credentials: &str) -> Option<ClientAuth> {
    let decoded = String::from_utf8(Base64::decode_vec(credentials).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let part =
        |encoded: &str| form(encoded.as_bytes()).into_iter().next().map_or(String::new(), |(part, _)| part);
    Some(ClientAuth::Basic { id: part(id), secret: part(secret) })
}

fn cookies(headers: &Headers) -> Vec<(String, String)> {
    let pairs = headers.all("cookie").flat_map(|field| field.split(';'));
    let pair =
        |pair: &str| pair.trim().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.filter_map(pair).collect()
}

/// The nonce in a `DPoP` proof (RFC 9449 §4.2). The signature is not looked at.
pub(super) fn proof_nonce(headers: &Headers) -> Option<String> {
    let claims = Base64UrlUnpadded::decode_vec(headers.get("dpop")?.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("nonce")?.as_str()?.to_owned())
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn members(body: &[u8]) -> Option<Vec<(String, String)>> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return None };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(members.into_iter().map(|(name, value)| (name, text(value))).collect())
}
