//! What the processes of a test share: the servers and the record.

use std::{fs, time::Duration};

use serde_json::json;
use token_refresh_conformance::server::{
    AuthorizationServer, Issued, OnReplay, Policy, Reuse, Seen, Verdict,
};
use token_refresh_core::{Body, Stored};
use token_refresh_driver::{Backoff, Config, Record, Store as _};
use token_refresh_ureq::{
    Endpoint, Grant, OAuthProfile, Session, UreqTransport,
    wire::{ClientAuth, OAuthClient},
};

use crate::{
    place::{Home, Place, StoreKind},
    process::Process,
};

/// How long a test waits for something that must come. Far longer than a term.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long an exchange may take. The term of a claim is 1.6 s more, so this is short.
pub(crate) const LIMIT: Duration = Duration::from_secs(1);

pub(crate) fn config(exchange_limit: Duration) -> Config {
    let mut config = Config::default();
    config.send_limit = Duration::from_millis(300);
    config.exchange_limit = exchange_limit;
    config.save_limit = Duration::from_millis(300);
    config.skew = Duration::from_millis(100);
    config.backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_millis(200) };
    config
}

/// Strict, as the default of the servers is: a spent refresh token revokes its family.
pub(crate) fn strict() -> Policy {
    Policy::default()
}

/// A spent refresh token is refused, and nothing else happens.
pub(crate) fn lenient() -> Policy {
    Policy { on_replay: OnReplay::InvalidGrant, ..Policy::default() }
}

/// For 30 s, a spent refresh token yields the same answer again.
pub(crate) fn window() -> Policy {
    Policy { reuse: Reuse::Within(Duration::from_secs(30)), ..Policy::default() }
}

pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    /// The tokens of the sign-in, generation 0 of family 1.
    pub(crate) first: Issued,
    pub(crate) place: Place,
    limit: Duration,
    _home: Option<Home>,
}

/// What is left in the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// How often the first refresh token reached the server.
    pub(crate) presented: usize,
    /// How many families a replay revoked.
    pub(crate) revoked: usize,
    /// The serial of the record, and whether its refresh token is marked as refused.
    pub(crate) serial: u64,
    pub(crate) refused: bool,
}

impl World {
    /// Signed in, in a file of its own.
    pub(crate) fn new(policy: Policy) -> Self {
        let home = Home::make(StoreKind::File, None).unwrap();
        let world = Self::at(home.place.clone(), policy);
        Self { _home: Some(home), ..world }
    }

    /// Signed in, in a place that is there.
    pub(crate) fn at(place: Place, policy: Policy) -> Self {
        let auth = AuthorizationServer::start(policy).unwrap();
        let first = auth.issue();
        let world = Self { auth, first, place, limit: LIMIT, _home: None };
        let profile = OAuthProfile::refresh_token(
            OAuthClient::new(ClientAuth::None { client_id: "test".into() }),
            Endpoint::https_or_loopback(&world.auth.url("/token")).unwrap(),
        );
        let store = world.place.open(|error| panic!("{error}")).unwrap();
        let session = Session::builder().store(store).blocking(UreqTransport::new(), profile).unwrap();
        let grant = Grant::new(world.first.access_token.as_str()).unwrap();
        let grant = grant.with_refresh_token(world.first.refresh_token.as_str()).unwrap();
        session.sign_in(grant.with_lifetime(Duration::from_secs(3600)));
        session.settle(PATIENCE).unwrap();
        world
    }

    /// For a test that holds exchanges and waits for no term: a busy machine cannot make them too long.
    pub(crate) fn unhurried(self) -> Self {
        Self { limit: Duration::from_secs(10), ..self }
    }

    /// A process with the default policy and a good clock.
    pub(crate) fn process(&self) -> Process {
        self.process_with("once", 0)
    }

    /// Its clock is ahead by so many milliseconds. It has the token that is stored.
    pub(crate) fn process_with(&self, policy: &str, clock: i64) -> Process {
        let mut process = self.newcomer(policy, clock);
        process.token().unwrap();
        process
    }

    /// A process with the default policy and a good clock that knows the place under this name.
    pub(crate) fn process_at(&self, place: &str) -> Process {
        let mut process = self.start(place, "once", 0);
        process.token().unwrap();
        process
    }

    /// A process that has not looked at the store yet.
    pub(crate) fn newcomer(&self, policy: &str, clock: i64) -> Process {
        self.start(&self.place.to_string(), policy, clock)
    }

    fn start(&self, place: &str, policy: &str, clock: i64) -> Process {
        Process::start(&json!({
            "place": place,
            "token": self.auth.url("/token"),
            "revocation": self.auth.url("/revoke"),
            "policy": policy,
            "limit": self.limit.as_secs(),
            "clock": clock,
        }))
    }

    pub(crate) fn stored(&self) -> Stored {
        self.place.open(|error| panic!("{error}")).unwrap().load().unwrap()
    }

    pub(crate) fn record(&self) -> Record {
        self.stored().record.unwrap()
    }

    pub(crate) fn is_signed_out(&self) -> bool {
        self.record().body == Body::SignedOut
    }

    /// How often the first refresh token reached the server.
    pub(crate) fn presented(&self) -> usize {
        self.auth.presentations(&self.first.refresh_token)
    }

    /// What the server calls this token: `at-1-0` is the first access token.
    pub(crate) fn name(&self, answer: Result<String, String>) -> Result<String, String> {
        Ok(self.auth.tag(&answer?).map_or("unknown".into(), |tag| tag.to_string()))
    }

    pub(crate) fn ending(&self) -> Ending {
        let record = self.record();
        let revoked =
            self.verdicts(|verdict| matches!(verdict, Verdict::Replayed { family_revoked: true, .. }));
        Ending { presented: self.presented(), revoked, serial: record.serial, refused: record.refused }
    }

    pub(crate) fn verdicts(&self, wanted: impl Fn(Verdict) -> bool) -> usize {
        self.auth.log().iter().filter(|seen: &&Seen| wanted(seen.verdict)).count()
    }

    /// Nobody can read or write the record until this is mended: there is a folder in its place.
    pub(crate) fn break_store(&self) -> BrokenStore {
        let file = self.place.file().unwrap();
        let aside = format!("{file}.aside");
        fs::rename(&file, &aside).unwrap();
        fs::create_dir(&file).unwrap();
        BrokenStore { file, aside }
    }
}

pub(crate) struct BrokenStore {
    file: String,
    aside: String,
}

impl BrokenStore {
    pub(crate) fn mend(self) {
        fs::remove_dir(&self.file).unwrap();
        fs::rename(self.aside, self.file).unwrap();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "answers are compared with it")]
pub(crate) fn ok(token: &str) -> Result<String, String> {
    Ok(token.to_owned())
}

pub(crate) fn failed(kind: &str) -> Result<String, String> {
    Err(kind.to_owned())
}
