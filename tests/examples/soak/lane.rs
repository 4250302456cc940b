//! One adapter: its servers, its two sessions on one file, its callers, and whoever keeps them going.

use std::{
    error::Error,
    path::PathBuf,
    sync::{Arc, atomic::Ordering, mpsc::channel},
    time::{Duration, Instant},
};

use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer, Reuse};
use token_refresh_driver::{
    AllowedOrigins, AmbiguousPolicy, Backoff, BuildError, Config, Endpoint, FailureKind, Grant, OAuthProfile,
    Rate, Retry, Rules, Session, SessionBuilder, State,
    store::FileStore,
    wire::{ClientAuth, OAuthClient},
};

use crate::{
    callers::Desk,
    chaos::{Chaos, FaultyStore},
    judge::Judge,
    rng::Rng,
    stalls::Stalls,
};

/// How long an access token lives. Nobody is told.
const LIFETIME: Duration = Duration::from_millis(200);
/// How long an exchange may take.
pub(crate) const EXCHANGE_LIMIT: Duration = Duration::from_millis(1500);
/// How long a spent refresh token may be presented again.
pub(crate) const WINDOW: Duration = Duration::from_secs(8);
/// How often the current access token is revoked before its time.
const REVOKED_EVERY: Duration = Duration::from_millis(900);
/// For how long a session must have failed to be given up: a failed one looks at the store once a second.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(2500);

pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) desk: Arc<Desk>,
    pub(crate) rules: Rules,
    pub(crate) judge: Judge,
    pub(crate) sessions: Vec<Session>,
    auth: AuthorizationServer,
    api: ResourceServer,
    store: FaultyStore,
    chaos: Chaos,
    family: u32,
    signed_in: Instant,
    failed_since: Option<Instant>,
    revoked: Instant,
}

impl Lane {
    pub(crate) fn new(
        name: &'static str,
        folder: &std::path::Path,
        rng: &mut Rng,
        stalls: &Stalls,
        open: impl Fn(SessionBuilder, OAuthProfile) -> Result<Session, BuildError>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut draw = || Rng::new(rng.below(u64::MAX));
        let start = Instant::now();
        let auth = AuthorizationServer::start(Policy {
            lifetime: Some(LIFETIME),
            reuse: Reuse::Within(WINDOW),
            ..Policy::default()
        })?;
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
        let (reports, calls) = channel();
        let desk = Desk { api: api.url(""), reports, stop: false.into(), active: 0.into(), last: 0.into() };
        let file: PathBuf = folder.join(format!("{name}.json"));
        let store = FaultyStore::new(FileStore::open(file)?, draw());
        let client = OAuthClient::new(ClientAuth::None { client_id: "soak".into() });
        let profile = OAuthProfile::refresh_token(client, Endpoint::https_or_loopback(&auth.url("/token"))?);
        let session = || {
            let builder = Session::builder().config(config()).time_limit(Duration::from_secs(10));
            open(builder.store(store.clone()), profile.clone())
        };
        let mut lane = Self {
            name,
            desk: Arc::new(desk),
            rules: Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?),
            judge: Judge::new(start, calls, stalls.clone()),
            sessions: vec![session()?, session()?],
            chaos: Chaos::new(draw()),
            auth,
            api,
            store,
            family: 0,
            signed_in: start,
            failed_since: None,
            revoked: start,
        };
        lane.sign_in()?;
        lane.sessions[0].settle(Duration::from_secs(20))?;
        Ok(lane)
    }

    /// What has to be done again and again. `faults`: whether there are any.
    pub(crate) fn keep(&mut self, faults: bool) -> Result<(), Box<dyn Error>> {
        if faults {
            self.chaos.top_up(&self.auth, &self.api);
            if self.revoked.elapsed() > REVOKED_EVERY
                && let Some(current) = self.auth.current(self.family)
            {
                self.revoked = Instant::now();
                self.auth.revoke(&current.access_token);
            }
        } else {
            self.store.heal();
        }
        if self.is_lost() {
            self.judge.lost(self.family);
            self.sign_in()?;
        }
        self.judge.look(&self.auth, &self.api);
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.desk.stop.store(true, Ordering::SeqCst);
    }

    pub(crate) fn active(&self) -> usize {
        self.desk.active.load(Ordering::SeqCst)
    }

    /// Judges all that is left, and ends servers and sessions.
    pub(crate) fn end(mut self) -> Judge {
        for session in self.sessions.drain(..) {
            if session.settle(Duration::from_secs(20)).is_err() {
                self.judge.tally.violation(format!("{}: a session does not settle", self.name));
            }
        }
        self.judge.end(&self.auth, &self.api);
        self.judge
    }

    fn sign_in(&mut self) -> Result<(), Box<dyn Error>> {
        let issued = self.auth.issue();
        self.family += 1;
        self.judge.signed_in(self.family);
        let grant = Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?;
        self.sessions[0].sign_in(grant.with_lifetime(Duration::from_secs(3600)));
        (self.signed_in, self.failed_since) = (Instant::now(), None);
        Ok(())
    }

    /// Whether a session has failed in a way that only a sign-in can end, and has gone on failing.
    fn is_lost(&mut self) -> bool {
        let failed = |session: &Session| match session.state() {
            State::Failed(failure) => failure.retry == Retry::Never || failure.kind == FailureKind::Uncertain,
            State::Idle | State::Refreshing => false,
        };
        if !self.sessions.iter().any(failed) {
            self.failed_since = None;
            return false;
        }
        let since = *self.failed_since.get_or_insert_with(Instant::now);
        since.elapsed() > GIVEN_UP_AFTER && self.signed_in.elapsed() > GIVEN_UP_AFTER
    }
}

/// No last resort: how often a refresh token may be presented does not depend on what else there is.
fn config() -> Config {
    let mut config = Config::default();
    config.ambiguous = AmbiguousPolicy::Once { window: WINDOW, last_resort: false };
    config.exchange_limit = EXCHANGE_LIMIT;
    config.send_limit = Duration::from_millis(750);
    config.save_limit = Duration::from_millis(750);
    config.skew = Duration::from_millis(100);
    config.backoff = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(200) };
    config.rate = Rate { starts: 1000, window: Duration::from_secs(1) };
    // Tokens may be dead before anybody could use them.
    config.breaker = u32::MAX;
    config
}
