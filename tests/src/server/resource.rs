//! The resource server.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;

use super::{
    AuthorizationServer, End, Response, Seen, Step, Tag, Verdict,
    authorization::Realm,
    host::{Host, Service},
    log::{Log, digest},
    message::Request,
};

/// Whom a resource server refuses, and how.
#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    /// Whom it refuses besides those whose token is not good.
    pub refuse: Refuse,
    /// The status of a refusal.
    pub status: u16,
    /// The challenge of a refusal. A request without a token gets a bare one in the place of one with an error code
    /// (RFC 6750 §3.1).
    pub challenge: Challenge,
}

impl Default for ResourcePolicy {
    fn default() -> Self {
        Self { refuse: Refuse::Bad, status: 401, challenge: Challenge::InvalidToken }
    }
}

/// Whom a resource server refuses. Redirects are never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// Those whose token is not good.
    Bad,
    /// Everybody.
    All,
    /// Everybody in this many requests, counted down as they come; later those whose token is not good.
    Next(u32),
}

/// The `WWW-Authenticate` fields of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// None at all.
    None,
    /// `Bearer` without an error code.
    Bare,
    /// `Bearer` with `invalid_token` (RFC 6750 §3.1).
    InvalidToken,
    /// `Bearer` with `insufficient_scope` (RFC 6750 §3.1).
    InsufficientScope,
    /// `Bearer` with `insufficient_user_authentication` (RFC 9470 §3).
    InsufficientUserAuthentication,
    /// `DPoP` with `use_dpop_nonce` (RFC 9449 §9), and this nonce in a field of its own.
    UseDpopNonce(String),
    /// These fields, whatever they say.
    Raw(Vec<String>),
}

/// A resource server on 127.0.0.1, bound to an authorization server.
///
/// Every path is a resource. Who comes with a good bearer token gets 200 and
/// `{ "method", "path", "body_len", "body_digest" }` (see [`digest`](super::digest), in hexadecimal). The exception is
/// `/redirect/<status>?to=<url>`, which redirects everybody to the URL.
#[derive(Debug)]
pub struct ResourceServer {
    host: Host,
    policy: Arc<Mutex<ResourcePolicy>>,
}

impl ResourceServer {
    /// Starts a server that accepts the access tokens of `issuer`. The name is for the log.
    ///
    /// # Errors
    ///
    /// The system has no port or no thread to give.
    pub fn start(name: &str, issuer: &AuthorizationServer, policy: ResourcePolicy) -> io::Result<Self> {
        let realm = Arc::clone(issuer.realm());
        let policy = Arc::new(Mutex::new(policy));
        let log = Log::new(name, realm.start);
        let host = Host::start(log, Resources { realm, policy: Arc::clone(&policy) })?;
        Ok(Self { host, policy })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.host.addr()
    }

    /// The URL of a resource: `url("/things/17")`.
    pub fn url(&self, target: &str) -> String {
        self.host.url(target)
    }

    /// Changes the rules for the requests that are processed from now on. Requests wait meanwhile, so `change` must not
    /// make any.
    pub fn change(&self, change: impl FnOnce(&mut ResourcePolicy)) {
        change(&mut self.policy.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Appends to the steps that the next requests take, one each; see [`Step`].
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.host.script(steps);
    }

    /// How many steps of the script no request has taken.
    pub fn unused_steps(&self) -> usize {
        self.host.unused_steps()
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

    /// How many requests were answered with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.host.count(|seen| seen.end == End::Answered(status))
    }

    /// Which generation of its access token each request for this target carried, in the order of arrival; `None`: no
    /// token of the authorization server.
    pub fn generations(&self, target: &str) -> Vec<Option<u32>> {
        let log = self.log();
        let attempts = log.iter().filter(|seen| seen.target == target);
        attempts.map(|seen| seen.carried.map(|tag| tag.generation)).collect()
    }
}

struct Resources {
    realm: Arc<Realm>,
    policy: Arc<Mutex<ResourcePolicy>>,
}

impl Service for Resources {
    fn carried(&self, request: &Request) -> Option<Tag> {
        self.realm.tag(request.bearer()?)
    }

    fn process(&self, request: &Request) -> (Response, Verdict) {
        if let Some(status) = request.path().strip_prefix("/redirect/") {
            return (redirect(status, request), Verdict::Plain);
        }
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        let by_order = match &mut policy.refuse {
            Refuse::Bad | Refuse::Next(0) => false,
            Refuse::All => true,
            Refuse::Next(left) => {
                *left -= 1;
                true
            }
        };
        let verdict = match request.bearer() {
            None => Verdict::Missing,
            Some(_) if by_order => Verdict::ByOrder,
            Some(token) => self.realm.judge(token),
        };
        let response = match verdict {
            Verdict::Accepted(_) => echo(request),
            _ => refusal(&policy, verdict),
        };
        (response, verdict)
    }
}

fn echo(request: &Request) -> Response {
    let digest = format!("{:016x}", digest(&request.body));
    let (method, path) = (&request.method, request.path());
    let body =
        json!({ "method": method, "path": path, "body_len": request.body.len(), "body_digest": digest });
    Response::json(200, &body)
}

fn refusal(policy: &ResourcePolicy, verdict: Verdict) -> Response {
    let bare = || vec!["Bearer realm=\"things\"".to_owned()];
    let with = |error: &str| vec![format!("Bearer realm=\"things\", {error}")];
    let challenges = match &policy.challenge {
        Challenge::None => Vec::new(),
        Challenge::Raw(fields) => fields.clone(),
        _ if verdict == Verdict::Missing => bare(),
        Challenge::Bare => bare(),
        Challenge::InvalidToken => with("error=\"invalid_token\""),
        Challenge::InsufficientScope => with("error=\"insufficient_scope\", scope=\"things:write\""),
        Challenge::InsufficientUserAuthentication => {
            with("error=\"insufficient_user_authentication\", max_age=\"300\"")
        }
        Challenge::UseDpopNonce(_) => vec!["DPoP error=\"use_dpop_nonce\"".to_owned()],
    };
    let mut response = Response::json(policy.status, &json!({ "message": "unauthorized" }));
    if let Challenge::UseDpopNonce(nonce) = &policy.challenge {
        response = response.header("DPoP-Nonce", nonce);
    }
    challenges.iter().fold(response, |response, challenge| response.header("WWW-Authenticate", challenge))
}

fn redirect(status: &str, request: &Request) -> Response {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to");
    match (status.parse(), to) {
        (Ok(status @ 301..=308), Some((_, to))) => Response::new(status).header("Location", &to),
        _ => Response::new(404),
    }
}
