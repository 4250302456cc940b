//! What a scenario is played on: two servers, a session, and the program under test, as often as it is needed.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Subject,
    caller::Client,
    program::Program,
    protocol::{Ability, ClientAuth, Profile, Settings},
    story::{Story, Teller},
};
use crate::server::{
    AuthorizationServer, Gate, Issued, Policy, ResourcePolicy, ResourceServer, Response, Rotation, Step,
};

/// How long something may take that happens at once on a machine that is not busy.
const SOON: Duration = Duration::from_secs(5);
/// How long a scenario may take in all.
const LIMIT: Duration = Duration::from_secs(60);
/// How often to look at a log while waiting for something to appear there.
const LOOK: Duration = Duration::from_millis(2);
/// How often a caller tries again.
const AGAIN: Duration = Duration::from_millis(50);

/// Why a scenario is not passed.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The client does what it must not.
    Fails(String),
    /// The client does no harm, and helps nobody.
    Weak(String),
    /// The machine has no port or no file to give.
    Kit(String),
}

pub(super) type Played = Result<(), Flaw>;

/// Servers, a session, and who plays.
pub(super) struct Stage<'a> {
    pub(super) auth: AuthorizationServer,
    pub(super) api: ResourceServer,
    /// The first tokens of the session, of family 1.
    pub(super) tokens: Issued,
    subject: &'a Subject,
    story: RefCell<Story>,
    others: RefCell<Vec<Arc<ResourceServer>>>,
    scratch: Option<PathBuf>,
    begin: Instant,
}

impl<'a> Stage<'a> {
    /// The API takes the token.
    pub(super) fn new(subject: &'a Subject) -> Result<Self, Flaw> {
        let begin = Instant::now();
        let auth = AuthorizationServer::start(Policy::default()).map_err(no_server)?;
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).map_err(no_server)?;
        let tokens = auth.issue();
        let (story, others) = (RefCell::new(Story::new(begin)), RefCell::default());
        Ok(Self { auth, api, tokens, subject, story, others, scratch: None, begin })
    }

    pub(super) fn can(&self, ability: Ability) -> bool {
        self.subject.abilities.contains(&ability)
    }

    /// How this client gets tokens if nothing else is asked for.
    pub(super) fn profile(&self) -> Profile {
        let known = [
            (Ability::Oauth, Profile::Oauth),
            (Ability::Json, Profile::Json),
            (Ability::Cookie, Profile::Cookie),
        ];
        let found = known.into_iter().find(|(ability, _)| self.can(*ability));
        found.map_or(Profile::ClientCredentials, |(_, profile)| profile)
    }

    /// The settings that a client gets if nothing else is asked for: all it needs, and nobody is in a hurry.
    pub(super) fn settings(&self) -> Settings {
        let profile = self.profile();
        Settings {
            profile,
            token_endpoint: self.auth.url(path(profile)),
            revocation_endpoint: self.can(Ability::Revoke).then(|| self.auth.url("/revoke")),
            client_id: "test".to_owned(),
            client_secret: None,
            client_auth: ClientAuth::None,
            origins: vec![self.api.url("")],
            store: None,
            time_limit_ms: 3000,
            exchange_limit_ms: 10_000,
            max_waiting: 1000,
        }
    }

    /// A client that is signed in.
    pub(super) fn client(&self) -> Result<Client<'_>, Flaw> {
        let client = self.start(&self.settings())?;
        client.sign_in(&self.tokens)?;
        Ok(client)
    }

    /// A client that is signed in, while the API does not take the token any more, which no client knows.
    pub(super) fn client_with_dead_token(&self) -> Result<Client<'_>, Flaw> {
        self.expire();
        self.client()
    }

    /// A client with these settings, to which nobody has signed in.
    pub(super) fn start(&self, settings: &Settings) -> Result<Client<'_>, Flaw> {
        let (program, _) = Program::start(&self.subject.command).map_err(broken)?;
        program.settings(settings).map_err(broken)?;
        let patience = Duration::from_millis(settings.time_limit_ms) + self.subject.patience;
        Ok(Client { stage: self, program, patience })
    }

    /// The file that clients of this scenario share.
    pub(super) fn store(&mut self) -> Result<PathBuf, Flaw> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("token-refresh-conformance-{}-{number}", process::id()));
        fs::create_dir(&folder).map_err(|error| Flaw::Kit(format!("no folder for a store: {error}")))?;
        let file = folder.join("credential.json");
        self.scratch = Some(folder);
        Ok(file)
    }

    /// Ends the access token of the session that is current.
    pub(super) fn expire(&self) {
        if let Some(current) = self.auth.current(1) {
            self.auth.expire(&current.access_token);
        }
    }

    /// The server takes every refresh token as often as it comes, so that one mistake of a client does not hide another.
    pub(super) fn forgive(&self) {
        self.auth.change(|policy| policy.rotation = Rotation::None);
    }

    /// Another server that takes the same tokens, and that clients are not told about.
    pub(super) fn elsewhere(&self) -> Result<Arc<ResourceServer>, Flaw> {
        let server =
            ResourceServer::start("else", &self.auth, ResourcePolicy::default()).map_err(no_server)?;
        let server = Arc::new(server);
        self.others.borrow_mut().push(Arc::clone(&server));
        Ok(server)
    }

    /// The next requests for this path of the API are judged at once, and learn the verdict when the gate opens.
    pub(super) fn hold_verdicts(&self, path: &str, count: usize) -> Gate {
        let gate = Gate::new();
        self.api.script((0..count).map(|_| Step::new().on(path).hold_after(&gate)));
        gate
    }

    /// The next token request waits before the server acts on it.
    pub(super) fn hold_token_request(&self) -> Gate {
        let gate = Gate::new();
        self.auth.script([Step::new().hold_before(&gate)]);
        gate
    }

    /// The server acts on the next token request, and its answer waits.
    pub(super) fn hold_token_answer(&self) -> Gate {
        let gate = Gate::new();
        self.auth.script([Step::new().hold_after(&gate)]);
        gate
    }

    /// Waits until so many requests have arrived at the gate.
    pub(super) fn arrives(&self, gate: &Gate, count: usize, what: &str) -> Played {
        check(gate.wait_arrived(count, SOON.min(self.left())), || format!("no server sees {what}"))
    }

    /// Waits until this is so.
    pub(super) fn until(&self, what: &str, so: impl Fn() -> bool) -> Played {
        let deadline = Instant::now() + SOON.min(self.left());
        while !so() {
            check(Instant::now() < deadline, || format!("it does not happen that {what}"))?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Sends requests, one after the other, until one is served.
    pub(super) fn until_served(&self, client: &Client<'_>) -> Played {
        let deadline = Instant::now() + SOON.min(self.left());
        while client.get("/later")?.outcome()?.status != Some(200) {
            check(Instant::now() < deadline, || {
                format!("no request is served for {:.0} s", SOON.as_secs_f64())
            })?;
            thread::sleep(AGAIN);
        }
        Ok(())
    }

    pub(super) fn note(&self, text: &str) {
        self.story.borrow_mut().tell(Teller::Note(text.to_owned()));
    }

    /// How many token requests there were.
    pub(super) fn token_requests(&self, expected: usize) -> Played {
        let found = self.auth.token_requests().len();
        check(found == expected, || format!("{} instead of {expected}", count(found, "token request")))
    }

    pub(super) fn at_most_token_requests(&self, most: usize) -> Played {
        let found = self.auth.token_requests().len();
        check(found <= most, || format!("{}; at most {most} are right", count(found, "token request")))
    }

    /// How often the first refresh token was presented.
    pub(super) fn presented_at_most(&self, most: usize) -> Played {
        let found = self.auth.presentations(&self.tokens.refresh_token);
        check(found <= most, || {
            format!("the refresh token was presented {}; at most {most} are right", count(found, "time"))
        })
    }

    /// Which generations of the access token the requests for this path of the API carried.
    pub(super) fn attempts(&self, path: &str, expected: &[Option<u32>]) -> Played {
        let found = self.api.generations(path);
        check(found == expected, || {
            format!("the API saw {} for {path}, not {}", generations(&found), generations(expected))
        })
    }

    /// What happened, and the servers that saw it.
    pub(super) fn history(&self) -> (Story, Vec<crate::server::Seen>) {
        let mut seen = self.auth.log();
        seen.extend(self.api.log());
        self.others.borrow().iter().for_each(|server| seen.extend(server.log()));
        seen.sort_by_key(|seen| seen.at);
        (self.story.borrow().clone(), seen)
    }

    pub(super) fn left(&self) -> Duration {
        LIMIT.saturating_sub(self.begin.elapsed())
    }

    pub(super) fn tell(&self, teller: Teller) {
        self.story.borrow_mut().tell(teller);
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(folder) = &self.scratch {
            // What cannot be removed is left to the system, which clears this folder.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Goes on if this is so.
pub(super) fn check(so: bool, otherwise: impl FnOnce() -> String) -> Played {
    if so { Ok(()) } else { Err(Flaw::Fails(otherwise())) }
}

/// An answer of the token endpoint with an error code (RFC 6749 §5.2).
pub(super) fn error(status: u16, code: &str) -> Response {
    Response::json(status, &serde_json::json!({ "error": code }))
}

/// The answer to a refresh token that is not good.
pub(super) fn invalid_grant() -> Response {
    error(400, "invalid_grant")
}

/// The path of the token endpoint.
pub(super) fn path(profile: Profile) -> &'static str {
    match profile {
        Profile::Oauth | Profile::ClientCredentials => "/token",
        Profile::Json => "/refresh",
        Profile::Cookie => "/cookie",
    }
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn generations(found: &[Option<u32>]) -> String {
    let name =
        |generation: &Option<u32>| generation.map_or("no token".to_owned(), |number| format!("AT{number}"));
    format!("[{}]", found.iter().map(name).collect::<Vec<_>>().join(", "))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn broken(what: String) -> Flaw {
    Flaw::Fails(format!("the program {what}"))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn no_server(error: std::io::Error) -> Flaw {
    Flaw::Kit(format!("no server: {error}"))
}

/// What a program says that it is able to do.
pub(super) fn abilities(command: &[std::ffi::OsString]) -> Result<BTreeSet<Ability>, String> {
    let (_program, hello) = Program::start(command)?;
    Ok(hello.can.into_iter().collect())
}
