//! The servers, and the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use token_refresh_conformance::{
    adapter::Spec,
    server::{
        AuthorizationServer, Gate, Issued, Policy, ResourcePolicy, ResourceServer, Response, Rotation, Step,
    },
};
use token_refresh_driver::{Clock, SystemClock, Timestamp};
use token_refresh_ureq::ureq::{Agent, config::RedirectAuthHeaders};

/// How long a test waits for something that will surely happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An authorization server, an API, and the tokens that a user has signed in with.
pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    pub(crate) api: ResourceServer,
    pub(crate) tokens: Issued,
    pub(crate) clock: MovableClock,
}

impl World {
    /// The API takes the access token, which is to live for an hour. Refresh tokens can be used again and again, so that
    /// one defect does not hide another.
    pub(crate) fn new() -> Self {
        let policy = Policy { rotation: Rotation::None, ..Policy::default() };
        let auth = AuthorizationServer::start(policy).unwrap();
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
        let tokens = auth.issue();
        Self { auth, api, tokens, clock: MovableClock::default() }
    }

    /// The API does not take the access token any more, which no client knows yet.
    pub(crate) fn expired() -> Self {
        let world = Self::new();
        world.auth.expire(&world.tokens.access_token);
        world
    }

    /// As [`expired`](Self::expired), and a refresh token can be used once: each refresh yields another one, and using
    /// the old one again counts as theft, which ends the session (RFC 9700 §4.14.2).
    pub(crate) fn rotating() -> Self {
        let world = Self::expired();
        world.auth.change(|policy| policy.rotation = Rotation::Always);
        world
    }

    pub(crate) fn get(&self, target: &str) -> Spec {
        Spec::get(self.api.url(target))
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.auth.token_requests().len()
    }

    /// The next requests for the target are judged at once, and learn the verdict when the gate opens.
    pub(crate) fn hold_verdicts(&self, target: &str, count: usize) -> Gate {
        let gate = Gate::new();
        self.api.script((0..count).map(|_| Step::new().on(target).hold_after(&gate)));
        gate
    }
}

/// The answer of the authorization server to a refresh token that is no good any more (RFC 6749 §5.2).
pub(crate) fn invalid_grant() -> Response {
    Response::json(400, &serde_json::json!({ "error": "invalid_grant" }))
}

/// Its answer when it cannot answer now (RFC 9110 §15.6.4).
pub(crate) fn busy() -> Response {
    Response::new(503).header("Retry-After", "1")
}

/// Of all that can be set, what is most dangerous: it keeps the token on redirects within a host, whatever the port.
pub(crate) fn http_client() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .build()
        .new_agent()
}

/// The real time, and what a test has added to it.
#[derive(Clone, Default)]
pub(crate) struct MovableClock(Arc<(SystemClock, AtomicU64)>);

impl MovableClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.1.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        let (real, added) = &*self.0;
        real.now().after(Duration::from_millis(added.load(Ordering::SeqCst)))
    }
}
