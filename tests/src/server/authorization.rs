//! The authorization server.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value, json};

use super::{
    ClientAuth, Issued, Policy, Response, Rotation, Seen, Step, Tag, TokenRequest, Verdict,
    families::{Exchanged, Families},
    host::{Host, Service},
    log::Log,
    message::Request,
    token_request::{COOKIE, Content, REFRESH, TOKEN, proof_nonce},
};

/// The revocation endpoint of RFC 7009.
const REVOKE: &str = "/revoke";

/// An authorization server on 127.0.0.1 with four endpoints, all for `POST`:
///
/// - `/token` takes the refresh grant of RFC 6749 §6 as a form, and the client credentials grant of §4.4, which starts a
///   session of its own and yields no refresh token;
/// - `/refresh` takes `{ "refresh_token": … }` and answers `{ "access_token", "refresh_token", "expires_in" }`; a
///   refresh token that is not good gets 401 and no error code, as small APIs do it;
/// - `/cookie` does the same for a refresh token in a cookie of this name, and answers with another in `Set-Cookie`;
/// - `/revoke` takes the form of RFC 7009: a refresh token takes its family with it, an access token only itself.
///
/// Sessions are started by the test, with [`AuthorizationServer::issue`]. Dropping the server closes its connections
/// and ends its threads; resource servers bound to it go on judging tokens.
#[derive(Debug)]
pub struct AuthorizationServer {
    host: Host,
    realm: Arc<Realm>,
}

/// What an authorization server shares with its resource servers.
#[derive(Debug)]
pub(super) struct Realm {
    pub(super) start: Instant,
    policy: Mutex<Policy>,
    families: Mutex<Families>,
}

impl AuthorizationServer {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// The system has no port or no thread to give.
    pub fn start(policy: Policy) -> io::Result<Self> {
        let start = Instant::now();
        let realm = Arc::new(Realm { start, policy: Mutex::new(policy), families: Mutex::default() });
        let host = Host::start(Log::new("auth", start), Endpoints(Arc::clone(&realm)))?;
        Ok(Self { host, realm })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.host.addr()
    }

    /// The URL of one of its endpoints: `url("/token")`.
    pub fn url(&self, target: &str) -> String {
        self.host.url(target)
    }

    /// Changes the rules for the requests that are processed from now on. Requests wait meanwhile, so `change` must not
    /// make any.
    pub fn change(&self, change: impl FnOnce(&mut Policy)) {
        change(&mut lock(&self.realm.policy));
    }

    /// Appends to the steps that the next requests take, one each; see [`Step`].
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.host.script(steps);
    }

    /// How many steps of the script no request has taken.
    pub fn unused_steps(&self) -> usize {
        self.host.unused_steps()
    }

    /// Starts a session: its first tokens, as if a user had signed in. Families count from 1.
    pub fn issue(&self) -> Issued {
        let policy = lock(&self.realm.policy).clone();
        self.realm.families().issue(None, &policy, Instant::now())
    }

    /// Starts another session of the user to whom this family belongs.
    pub fn issue_again(&self, family: u32) -> Issued {
        let policy = lock(&self.realm.policy).clone();
        self.realm.families().issue(Some(family), &policy, Instant::now())
    }

    /// The newest tokens of a family, whatever became of them.
    pub fn current(&self, family: u32) -> Option<Issued> {
        self.realm.families().current(family)
    }

    /// Every token that it issued, of both kinds, whatever became of them.
    pub fn tokens(&self) -> Vec<String> {
        self.realm.families().tokens()
    }

    /// The name of a token that this server issued.
    pub fn tag(&self, token: &str) -> Option<Tag> {
        self.realm.tag(token)
    }

    /// Ends an access token now, as if its time were over. `None`: there is no such token.
    pub fn expire(&self, access_token: &str) -> Option<Tag> {
        self.realm.families().expire(access_token, Instant::now())
    }

    /// Revokes an access token alone, or with a refresh token its whole family. `None`: there is no such token.
    pub fn revoke(&self, token: &str) -> Option<Tag> {
        self.realm.families().revoke(token)
    }

    /// Revokes all tokens of a family.
    pub fn revoke_family(&self, family: u32) {
        self.realm.families().revoke_family(family);
    }

    /// How many families were revoked, by a replay, by the revocation endpoint or by the test.
    pub fn families_revoked(&self) -> usize {
        self.realm.families().families_revoked()
    }

    /// What it saw, in the order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        self.host.log()
    }

    /// Takes out of the log what ended at least so long ago, up to the first request that has not: for a run that is too
    /// long to keep it all. How a request ended may be corrected until its answer is written, so give it a moment.
    pub fn take_log(&self, ago: Duration) -> Vec<Seen> {
        self.host.take_log(ago)
    }

    /// The token requests that it read, in the order of arrival.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.log().iter().filter_map(TokenRequest::of).collect()
    }

    /// How often this refresh token was presented, whether the server acted on it or not.
    pub fn presentations(&self, refresh_token: &str) -> usize {
        let presents = |request: &TokenRequest| request.refresh_token.as_deref() == Some(refresh_token);
        self.token_requests().iter().filter(|request| presents(request)).count()
    }

    pub(super) fn realm(&self) -> &Arc<Realm> {
        &self.realm
    }
}

impl Realm {
    pub(super) fn judge(&self, access_token: &str) -> Verdict {
        self.families().judge(access_token, Instant::now())
    }

    pub(super) fn tag(&self, token: &str) -> Option<Tag> {
        self.families().tag(token)
    }

    fn families(&self) -> MutexGuard<'_, Families> {
        lock(&self.families)
    }
}

struct Endpoints(Arc<Realm>);

impl Service for Endpoints {
    fn carried(&self, request: &Request) -> Option<Tag> {
        let content = Content::of(request).ok()?;
        self.0.tag(content.param(if request.path() == REVOKE { "token" } else { "refresh_token" })?)
    }

    fn process(&self, request: &Request) -> (Response, Verdict) {
        if !matches!(request.path(), TOKEN | REFRESH | COOKIE | REVOKE) {
            return (Response::new(404), Verdict::Plain);
        }
        if request.method != "POST" {
            return (Response::new(405).header("Allow", "POST"), Verdict::Plain);
        }
        let policy = lock(&self.0.policy).clone();
        if let Some(nonce) = policy.dpop_nonce.as_deref().filter(|_| request.path() == TOKEN)
            && proof_nonce(&request.headers).as_deref() != Some(nonce)
        {
            let response = Response::json(400, &json!({ "error": "use_dpop_nonce" }));
            return (response.header("DPoP-Nonce", nonce), Verdict::Refused("use_dpop_nonce"));
        }
        let answered = authenticated(request, &policy).and_then(|content| match request.path() {
            REVOKE => self.revoke(&content),
            path => self.exchange(path, &content, &policy),
        });
        answered.unwrap_or_else(|verdict| (error(request, verdict), verdict))
    }
}

impl Endpoints {
    fn exchange(
        &self,
        path: &str,
        content: &Content,
        policy: &Policy,
    ) -> Result<(Response, Verdict), Verdict> {
        if path == TOKEN {
            match content.param("grant_type") {
                Some("refresh_token") => {}
                Some("client_credentials") => {
                    let issued = self.0.families().issue(None, policy, Instant::now());
                    let verdict = self.0.tag(&issued.access_token).map_or(Verdict::Plain, Verdict::Granted);
                    return Ok((
                        grant(path, Issued { refresh_token: String::new(), ..issued }, policy),
                        verdict,
                    ));
                }
                Some(_) => return Err(Verdict::Refused("unsupported_grant_type")),
                None => return Err(Verdict::Refused("invalid_request")),
            }
        }
        let refresh_token = content.param("refresh_token").ok_or(Verdict::Refused("invalid_request"))?;
        let Exchanged { verdict, issued } = self.0.families().exchange(refresh_token, policy, Instant::now());
        Ok((grant(path, issued.ok_or(verdict)?, policy), verdict))
    }

    /// A token that is not known is as good as revoked (RFC 7009 §2.2).
    fn revoke(&self, content: &Content) -> Result<(Response, Verdict), Verdict> {
        let token = content.param("token").ok_or(Verdict::Refused("invalid_request"))?;
        let revoked = self.0.families().revoke(token);
        Ok((Response::new(200), revoked.map_or(Verdict::Plain, Verdict::Revoked)))
    }
}

/// The answer to a request that is granted (RFC 6749 §5.1).
fn grant(path: &str, issued: Issued, policy: &Policy) -> Response {
    let mut members = Map::new();
    members.insert("access_token".to_owned(), issued.access_token.into());
    let rotated = policy.rotation != Rotation::None && !issued.refresh_token.is_empty();
    let cookie = (rotated && path == COOKIE).then(|| cookie(&issued.refresh_token));
    if rotated && path != COOKIE {
        members.insert("refresh_token".to_owned(), issued.refresh_token.into());
    }
    if let Some(expires_in) = &policy.expires_in {
        members.insert("expires_in".to_owned(), expires_in.clone());
    }
    if let Some(token_type) = policy.token_type.as_deref().filter(|_| path == TOKEN) {
        members.insert("token_type".to_owned(), token_type.into());
    }
    if let Some(subject) = policy.subject.as_deref().filter(|_| path == TOKEN) {
        members.insert("id_token".to_owned(), id_token(subject).into());
    }
    let response = Response::json(200, &Value::Object(members)).header("Cache-Control", "no-store");
    cookie.iter().fold(response, |response, cookie| response.header("Set-Cookie", cookie))
}

/// Without `Secure`, since there is no TLS here.
fn cookie(refresh_token: &str) -> String {
    format!("refresh_token={refresh_token}; Path={COOKIE}; HttpOnly; SameSite=Strict")
}

/// `alg` is `none`: whoever wants to know the subject reads it.
fn id_token(subject: &str) -> String {
    let part = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let claims = json!({ "iss": "https://auth.example", "aud": "test", "sub": subject });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

fn authenticated(request: &Request, policy: &Policy) -> Result<Content, Verdict> {
    let content = Content::of(request).map_err(Verdict::Refused)?;
    if policy.client == ClientAuth::None || policy.client == content.client {
        Ok(content)
    } else {
        Err(Verdict::Refused("invalid_client"))
    }
}

/// The answer to a request that is refused (RFC 6749 §5.2).
fn error(request: &Request, verdict: Verdict) -> Response {
    let code = match verdict {
        Verdict::Refused(code) => code,
        _ => "invalid_grant",
    };
    let response = match (request.path(), code) {
        (REFRESH | COOKIE, "invalid_grant") => {
            Response::json(401, &json!({ "message": "this refresh token is not good" }))
        }
        (_, "invalid_client") => {
            let basic = request.headers.get("authorization").is_some();
            let response = Response::json(401, &json!({ "error": code }));
            if basic { response.header("WWW-Authenticate", "Basic realm=\"auth\"") } else { response }
        }
        _ => Response::json(400, &json!({ "error": code })),
    };
    response.header("Cache-Control", "no-store")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
