use std::{thread, time::Duration};

use serde_json::json;
use token_refresh_core::{AmbiguousPolicy, Config, wire::ClientAuth};

use super::{
    Answer, Client, Format, Problem, Setup, Spec, TestClock,
    leaks::{Listening, Overheard},
};
use crate::server::{
    self, AuthorizationServer, Issued, Policy, ResourcePolicy, ResourceServer, Response, Step,
};

/// How long a test waits for something that will surely happen.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// Longer than any delay after a failure.
pub(super) const AN_HOUR: Duration = Duration::from_secs(3601);

/// An authorization server, an API, and a session that the client of the test is signed in to.
pub(super) struct World {
    pub(super) auth: AuthorizationServer,
    pub(super) api: ResourceServer,
    pub(super) issued: Issued,
    pub(super) setup: Setup,
    listening: Listening,
}

/// Whatever a rule is about: no secret may have been shown (SEC-04).
impl Drop for World {
    fn drop(&mut self) {
        if !thread::panicking() {
            let mut secrets = self.auth.tokens();
            if let ClientAuth::Basic { client_secret, .. } | ClientAuth::Post { client_secret, .. } =
                &self.setup.client
            {
                secrets.push(client_secret.expose().to_owned());
            }
            self.listening.assert_silent_about(&secrets);
        }
    }
}

impl World {
    /// The API takes the token; see [`expire`](Self::expire).
    pub(super) fn new() -> Self {
        let listening = Listening::begin();
        let auth = AuthorizationServer::start(Policy::default()).expect("a port");
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).expect("a port");
        let issued = auth.issue();
        let setup = Setup {
            token_endpoint: auth.url("/token"),
            format: Format::OAuth,
            client: ClientAuth::None { client_id: "test".to_owned() },
            scope: String::new(),
            resources: Vec::new(),
            id_tokens_of: None,
            revocation_endpoint: None,
            access_token: issued.access_token.clone(),
            refresh_token: Some(issued.refresh_token.clone()),
            lifetime: None,
            origins: vec![api.url("")],
            strict: false,
            refused_if: None,
            time_limit: SOON,
            config: Config::default(),
            clock: TestClock::default(),
        };
        Self { auth, api, issued, setup, listening }
    }

    /// A world in which the access token is not good any more, and the client does not know.
    pub(super) fn expired() -> Self {
        let world = Self::new();
        world.expire();
        world
    }

    /// As [`expired`](Self::expired), with an API that refuses like this.
    pub(super) fn refusing(policy: ResourcePolicy) -> Self {
        let world = Self::expired();
        world.api.change(|current| *current = policy);
        world
    }

    /// Its client authenticates with this secret.
    pub(super) fn with_client_secret(mut self, secret: &str) -> Self {
        let client = server::ClientAuth::Basic { id: "test".into(), secret: secret.into() };
        self.auth.change(|policy| policy.client = client);
        self.setup.client = ClientAuth::Basic { client_id: "test".into(), client_secret: secret.into() };
        self
    }

    pub(super) fn client<C: Client>(&self) -> Overheard<C> {
        Overheard::new(&self.setup)
    }

    /// A client that never presents a refresh token again whose fate it does not know.
    pub(super) fn once_only<C: Client>(&self) -> Overheard<C> {
        let mut setup = self.setup.clone();
        setup.config.ambiguous = AmbiguousPolicy::Never { last_resort: false };
        Overheard::new(&setup)
    }

    /// Ends the newest access token, and the client does not know.
    pub(super) fn expire(&self) {
        self.auth.expire(&self.auth.current(1).expect("a session").access_token);
    }

    /// Another server that takes the same tokens, and that the client is not told about.
    pub(super) fn elsewhere(&self) -> ResourceServer {
        ResourceServer::start("else", &self.auth, ResourcePolicy::default()).expect("a port")
    }

    pub(super) fn token_requests(&self) -> usize {
        self.auth.token_requests().len()
    }

    /// Which generations of the access token the requests for this target carried.
    pub(super) fn generations(&self, target: &str) -> Vec<Option<u32>> {
        self.api.generations(target)
    }

    /// Whose access token the requests for this target carried, by the number of the family.
    pub(super) fn families(&self, target: &str) -> Vec<Option<u32>> {
        let log = self.api.log();
        let attempts = log.iter().filter(|seen| seen.target == target);
        attempts.map(|seen| seen.carried.map(|tag| tag.family)).collect()
    }
}

/// The next token request is answered like this, and its refresh token is not spent.
pub(super) fn says(status: u16, code: &str) -> Step {
    Step::new().answer(Response::json(status, &json!({ "error": code })))
}

/// How many requests this server saw with credentials of any kind.
pub(super) fn credentials_seen(server: &ResourceServer) -> usize {
    server.log().iter().filter(|seen| seen.headers.get("authorization").is_some()).count()
}

/// Sends it, and expects an answer.
pub(super) fn answer(client: &impl Client, request: &Spec) -> Answer {
    client.send(request).unwrap_or_else(|problem| panic!("{request:?}: {}", problem.text))
}

/// Sends it, and expects none that helps.
pub(super) fn problem(client: &impl Client, request: &Spec) -> Problem {
    match client.send(request) {
        Err(problem) => problem,
        Ok(answer) => panic!("{request:?}: {}", answer.status),
    }
}
