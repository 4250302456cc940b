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
    program::Program,
    protocol::{Ability, Cause, ClientAuth, Outcome, Profile, Request, Settings, Tokens, What},
    story::{Story, Teller},
};
use crate::server::{
    AuthorizationServer, Gate, Issued, Policy, ResourcePolicy, ResourceServer, Response, Step,
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

    fn left(&self) -> Duration {
        LIMIT.saturating_sub(self.begin.elapsed())
    }

    fn tell(&self, teller: Teller) {
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

/// A running client.
pub(super) struct Client<'a> {
    stage: &'a Stage<'a>,
    program: Program,
    patience: Duration,
}

impl Client<'_> {
    /// Sends a GET request to the API.
    pub(super) fn get(&self, path: &str) -> Result<Sent<'_>, Flaw> {
        self.send(Request::get(self.stage.api.url(path)))
    }

    pub(super) fn send(&self, request: Request) -> Result<Sent<'_>, Flaw> {
        let target = request.url.trim_start_matches("http://").split_once('/').map_or("", |(_, path)| path);
        let path = target.split('?').next().unwrap_or_default();
        let what = format!("{} /{path}", request.method);
        self.stage.tell(Teller::Sends(what.clone()));
        let id = self.program.tell(What::Send(request)).map_err(broken)?;
        Ok(Sent { client: self, id, what })
    }

    pub(super) fn sign_in(&self, tokens: &Issued) -> Played {
        self.sign_in_for(tokens, None)
    }

    /// Signs in with a token that lives so many seconds.
    pub(super) fn sign_in_for(&self, tokens: &Issued, expires_in: Option<u64>) -> Played {
        let token = |token: &String| Some(token.clone()).filter(|token| !token.is_empty());
        let (access_token, refresh_token) = (token(&tokens.access_token), token(&tokens.refresh_token));
        self.does("sign in", What::SignIn(Tokens { access_token, refresh_token, expires_in }))
    }

    pub(super) fn sign_out(&self) -> Played {
        self.does("sign out", What::SignOut {})
    }

    pub(super) fn cancel(&self, sent: &Sent<'_>) -> Played {
        self.does(&format!("cancel {}", sent.what), What::Cancel(sent.id))
    }

    /// Says that nothing more will come, and waits until it has ended.
    pub(super) fn leave(&self) {
        self.program.leave();
        self.stage.note("the program has ended");
    }

    pub(super) fn kill(&self) {
        self.program.kill();
        self.stage.note("the program is killed");
    }

    #[cfg(unix)]
    pub(super) fn pause(&self, paused: bool) -> Played {
        self.stage.note(if paused { "the program is stopped" } else { "the program goes on" });
        self.program.pause(paused).map_err(|error| Flaw::Kit(format!("it cannot be stopped: {error}")))
    }

    /// How many commands have an outcome.
    pub(super) fn outcomes(&self) -> usize {
        self.program.outcomes()
    }

    /// What it wrote to its standard error.
    pub(super) fn errors(&self) -> String {
        self.program.errors()
    }

    fn does(&self, what: &str, command: What) -> Played {
        self.stage.tell(Teller::Sends(what.to_owned()));
        let id = self.program.tell(command).map_err(broken)?;
        self.outcome(id, what).map(drop)
    }

    fn outcome(&self, id: u64, what: &str) -> Result<Outcome, Flaw> {
        let limit = self.patience.min(self.stage.left());
        let outcome = self.program.outcome(id, limit).map_err(broken)?;
        let outcome = outcome.ok_or_else(|| {
            Flaw::Fails(format!("`{what}` has no outcome after {:.0} s: it hangs", limit.as_secs_f64()))
        })?;
        self.stage.tell(Teller::Hears(format!("{what}: {}", shown(&outcome)), outcome.failed.is_some()));
        Ok(outcome)
    }
}

/// A request that is under way.
pub(super) struct Sent<'a> {
    client: &'a Client<'a>,
    id: u64,
    what: String,
}

impl Sent<'_> {
    /// Whatever becomes of it.
    pub(super) fn outcome(&self) -> Result<Outcome, Flaw> {
        self.client.outcome(self.id, &self.what)
    }

    /// The caller gets an answer with this status.
    pub(super) fn answered(&self, status: u16) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let right = outcome.failed.is_none() && outcome.status == Some(status);
        check(right, || format!("`{}` was to be answered with {status}: {}", self.what, shown(&outcome)))?;
        Ok(outcome)
    }

    /// The caller is not served, for one of these reasons.
    pub(super) fn failed(&self, causes: &[Cause]) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let right = outcome.failed.is_some_and(|cause| causes.contains(&cause));
        check(right, || format!("`{}` was to fail as {}: {}", self.what, names(causes), shown(&outcome)))?;
        Ok(outcome)
    }

    /// The caller is not served, for whatever reason but these.
    pub(super) fn failed_but_not(&self, causes: &[Cause]) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let served = outcome.status.is_some_and(|status| status < 400);
        let wrong = served || outcome.failed.is_some_and(|cause| causes.contains(&cause));
        check(!wrong, || format!("`{}` was not to end like this: {}", self.what, shown(&outcome)))?;
        Ok(outcome)
    }
}

impl Request {
    pub(super) fn new(method: &str, url: impl Into<String>) -> Self {
        let (method, url) = (method.to_owned(), url.into());
        Self { method, url, headers: std::collections::BTreeMap::new(), body: None, stream: None }
    }

    pub(super) fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn stream(mut self, body: impl Into<String>) -> Self {
        self.stream = Some(body.into());
        self
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

fn names(causes: &[Cause]) -> String {
    let name = |cause: &Cause| serde_json::to_string(cause).unwrap_or_default().replace('"', "");
    causes.iter().map(name).collect::<Vec<_>>().join(" or ")
}

fn shown(outcome: &Outcome) -> String {
    match (outcome.failed, outcome.status) {
        (None, Some(status)) => format!("{status}"),
        (Some(cause), None) => format!("failed, {}", names(&[cause])),
        (Some(cause), Some(status)) => format!("failed, {}, with the {status}", names(&[cause])),
        (None, None) => "done".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(what: String) -> Flaw {
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
