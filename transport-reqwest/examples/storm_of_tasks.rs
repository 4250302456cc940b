//! A thousand tasks, one expired token, real servers on 127.0.0.1: what happens, request by request.
//!
//! `cargo run -p token-refresh-reqwest --example storm_of_tasks -- --help`

use std::{
    error::Error as StdError,
    fmt::Display,
    fs,
    ops::RangeInclusive,
    process::ExitCode,
    time::{Duration, Instant},
};

use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_conformance::server::{
    AuthorizationServer, Gate, Policy, ResourcePolicy, ResourceServer, Step, timeline,
};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Cause, Endpoint, Error, Grant, OAuthProfile, ReqwestTransport, Rules,
    Session, TokioRuntime,
    reqwest::{Client, Response},
    wire::{ClientAuth, OAuthClient},
};
use tokio::task::{JoinSet, spawn_blocking};

const HELP: &str = "\
A thousand tasks, one expired token, real servers on 127.0.0.1.

The authorization server rotates refresh tokens, and if one is ever presented
twice it revokes the session. The API refuses expired tokens with 401.

Act 1  storm    all tasks are refused at once
Act 2  late     a refusal arrives when its token has been replaced already
Act 3  failure  the session was revoked, so the refresh fails
Act 4  quitters half of the tasks are dropped while the refresh is under way

Each act prints what the servers saw and what was counted. If a count is off,
the exit code is 1.

Options:
  --tasks N     callers in acts 1, 3 and 4, 2 to 1500 [1000]; each takes two of
                the files that a process may have open
  --latency MS  how long a refresh takes in acts 1 to 3, at most 2000 [20]
  --acts LIST   which acts, for example 1,3 [1,2,3,4]
  --help        this text
";

struct Options {
    tasks: usize,
    latency: Duration,
    acts: Vec<u8>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => Options { tasks: at_most_files(options.tasks), ..options },
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("storm: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match play(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("A count is off.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { tasks: 1000, latency: Duration::from_millis(20), acts: vec![1, 2, 3, 4] };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("tasks") => options.tasks = within(&(2..=1500), parser.value()?.parse()?)?,
            Arg::Long("latency") => {
                options.latency = Duration::from_millis(within(&(0..=2000), parser.value()?.parse()?)?);
            }
            Arg::Long("acts") => options.acts = parser.value()?.parse_with(acts)?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn within<N: PartialOrd + Display>(range: &RangeInclusive<N>, number: N) -> Result<N, lexopt::Error> {
    if range.contains(&number) {
        return Ok(number);
    }
    Err(format!("{number} is not between {} and {}", range.start(), range.end()).into())
}

fn acts(list: &str) -> Result<Vec<u8>, String> {
    let act = |text: &str| text.trim().parse().ok().filter(|act| (1..=4).contains(act));
    list.split(',').map(|text| act(text).ok_or(format!("there is no act {text:?}"))).collect()
}

/// Each task has a connection, and both ends of it are in this process.
fn at_most_files(tasks: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let Some(limit) = limit.and_then(|limit| limit.parse::<usize>().ok()) else { return tasks };
    let possible = (limit.saturating_sub(100) / 2).max(2);
    if possible < tasks {
        println!("Only {limit} files may be open (ulimit -n), which is enough for {possible} tasks.\n");
    }
    tasks.min(possible)
}

/// `false`: a count is off.
async fn play(options: &Options) -> Result<bool, Box<dyn StdError>> {
    let mut right = true;
    for act in &options.acts {
        let stage = Stage::set()?;
        let counts = match act {
            1 => storm(&stage, options).await,
            2 => late(&stage, options).await,
            3 => failure(&stage, options).await,
            _ => quitters(&stage, options).await?,
        };
        right &= stage.report(&counts);
    }
    Ok(right)
}

/// All tasks are refused at once: one refreshes, and all are answered.
async fn storm(stage: &Stage, options: &Options) -> Vec<Count> {
    let tasks = options.tasks;
    println!("Act 1, a storm: {tasks} tasks share a token that has just expired.");
    let outcomes = stage.charge(tasks, options.latency).await;
    vec![
        count("requests refused with 401", tasks, stage.api.answered(401)),
        count("refreshes", 1, stage.refreshes()),
        count("callers with their answer", tasks, outcomes.iter().filter(|outcome| is_good(outcome)).count()),
        count("sessions revoked because a refresh token came twice", 0, stage.auth.families_revoked()),
    ]
}

/// A refusal arrives when its token has been replaced already.
async fn late(stage: &Stage, options: &Options) -> Vec<Count> {
    println!("Act 2, a late refusal: one 401 is held back until another request has refreshed the token.");
    let gate = Gate::new();
    stage.api.script([Step::new().on("/late").hold_after(&gate)]);
    stage.auth.script([Step::new().delay_before(options.latency)]);
    let late = tokio::spawn(stage.get("/late"));
    let prompt = arrived(&gate, 1).await && is_good(&stage.get("/prompt").await);
    gate.open();
    let late = late.await.is_ok_and(|outcome| is_good(&outcome));
    vec![
        count("requests refused with 401", 2, stage.api.answered(401)),
        count("refreshes", 1, stage.refreshes()),
        count("callers with their answer", 2, usize::from(prompt) + usize::from(late)),
    ]
}

/// The refresh fails for good: everybody hears it at once, and nobody tries again.
async fn failure(stage: &Stage, options: &Options) -> Vec<Count> {
    let tasks = options.tasks;
    println!("Act 3, a failure: the session was revoked on the server, and {tasks} tasks find out.");
    stage.auth.revoke_family(1);
    let start = Instant::now();
    let outcomes = stage.charge(tasks, options.latency).await;
    println!("  the last caller has its error after {:.3} s", start.elapsed().as_secs_f64());
    if let Some(Err(error)) = outcomes.first() {
        println!("  it says: {error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    }

    let sent = stage.api.log().len();
    let later = stage.get("/later").await;
    let clear = |outcome: &&Outcome| matches!(outcome, Err(Error::Refused(_))) && needs_sign_in(outcome);
    vec![
        count("callers with the 401 and the reason: sign in", tasks, outcomes.iter().filter(clear).count()),
        count("refreshes", 1, stage.refreshes()),
        count("later callers who are told so at once", 1, usize::from(needs_sign_in(&later))),
        count("requests that they sent", 0, stage.api.log().len() - sent),
    ]
}

/// Half of the callers are dropped while the authorization server is at work. For the others nothing changes.
async fn quitters(stage: &Stage, options: &Options) -> Result<Vec<Count>, Box<dyn StdError>> {
    let (half, tasks) = (options.tasks / 2, options.tasks);
    println!("Act 4, quitters: {half} of {tasks} tasks are dropped while the refresh is under way.");
    let refreshing = Gate::new();
    stage.auth.script([Step::new().hold_after(&refreshing)]);
    let (mut stayers, mut quitters) = (JoinSet::new(), JoinSet::new());
    for task in 0..tasks {
        let callers = if task < half { &mut quitters } else { &mut stayers };
        callers.spawn(stage.get("/things"));
    }
    if !arrived(&refreshing, 1).await {
        println!("  nobody asked for a new token");
    }
    quitters.shutdown().await;
    refreshing.open();
    let outcomes = stayers.join_all().await;

    stage.client.session().settle_async(Duration::from_secs(20)).await?;
    let next = stage.get("/next").await;
    Ok(vec![
        count("refreshes", 1, stage.refreshes()),
        count(
            "callers with their answer",
            tasks - half,
            outcomes.iter().filter(|outcome| is_good(outcome)).count(),
        ),
        count("later callers with their answer", 1, usize::from(is_good(&next))),
        count("attempts that they needed", 1, stage.api.generations("/next").len()),
    ])
}

fn is_good(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|response| response.status() == 200)
}

fn needs_sign_in(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|error| error.cause() == Some(Cause::NeedsSignIn))
}

/// The servers are blocking, so their gates are waited for on a thread. `false`: in vain.
async fn arrived(gate: &Gate, requests: usize) -> bool {
    let gate = gate.clone();
    spawn_blocking(move || gate.wait_arrived(requests, Duration::from_secs(20))).await.unwrap_or(false)
}

type Outcome = Result<Response, Error>;

struct Count {
    what: &'static str,
    expected: usize,
    counted: usize,
}

fn count(what: &'static str, expected: usize, counted: usize) -> Count {
    Count { what, expected, counted }
}

/// The servers, and a client whose access token has expired without its knowing.
struct Stage {
    auth: AuthorizationServer,
    api: ResourceServer,
    client: AuthClient,
}

impl Stage {
    fn set() -> Result<Self, Box<dyn StdError>> {
        let auth = AuthorizationServer::start(Policy::default())?;
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
        let issued = auth.issue();
        auth.expire(&issued.access_token);
        let grant = Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?;
        let client = OAuthClient::new(ClientAuth::None { client_id: "storm".into() });
        let endpoint = Endpoint::https_or_loopback(&auth.url("/token"))?;
        let session = Session::builder().time_limit(Duration::from_secs(30)).asynchronous(
            ReqwestTransport::new()?,
            OAuthProfile::refresh_token(client, endpoint),
            TokioRuntime::current()?,
        )?;
        session.sign_in(grant);
        let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?);
        let client = AuthClient::new(Client::builder().no_proxy(), session, rules)?;
        Ok(Self { auth, api, client })
    }

    fn get(&self, path: &str) -> impl Future<Output = Outcome> + use<> {
        self.client.get(self.api.url(path)).send()
    }

    /// All at once: the API refuses nobody before everybody is there.
    async fn charge(&self, tasks: usize, latency: Duration) -> Vec<Outcome> {
        let gate = Gate::new();
        self.api.script((0..tasks).map(|_| Step::new().hold_after(&gate)));
        self.auth.script([Step::new().delay_before(latency)]);
        let callers: JoinSet<Outcome> = (0..tasks).map(|_| self.get("/things")).collect();
        if !arrived(&gate, tasks).await {
            println!("  not all requests arrived");
        }
        gate.open();
        callers.join_all().await
    }

    fn refreshes(&self) -> usize {
        self.auth.token_requests().len()
    }

    /// Prints what the servers saw, like lines as one, and what was counted. `false`: a count is off.
    fn report(&self, counts: &[Count]) -> bool {
        let text = timeline([self.auth.log(), self.api.log()]);
        let lines: Vec<_> = text.lines().filter_map(|line| line.split_once(" s  ")).collect();
        let mut told: Vec<&str> = Vec::new();
        for (at, what) in &lines {
            if !told.contains(what) {
                told.push(what);
                let times = lines.iter().filter(|(_, other)| other == what).count();
                println!("  {:>7} s {times:>5} x  {what}", at.trim());
            }
        }
        let mut right = true;
        for Count { what, expected, counted } in counts {
            let verdict = if counted == expected { "ok" } else { "OFF" };
            println!("  {counted:>17}  {what} ({verdict}, expected {expected})");
            right &= counted == expected;
        }
        println!();
        right
    }
}
