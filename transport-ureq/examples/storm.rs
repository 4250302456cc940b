//! Fifty threads, one expired token, real servers on 127.0.0.1: what happens, request by request.
//!
//! `cargo run -p token-refresh-ureq --example storm -- --help`

use std::{
    error::Error as StdError,
    fmt::Display,
    ops::RangeInclusive,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_conformance::server::{
    AuthorizationServer, Gate, Policy, ResourcePolicy, ResourceServer, Step, timeline,
};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Cause, Endpoint, Error, Grant, OAuthProfile, Rules, Session, UreqTransport,
    wire::{ClientAuth, OAuthClient},
};
use ureq::http::Request;

const HELP: &str = "\
Fifty threads, one expired token, real servers on 127.0.0.1.

The authorization server rotates refresh tokens, and if one is ever presented
twice it revokes the session. The API refuses expired tokens with 401.

Act 1  storm    all threads are refused at once
Act 2  late     a refusal arrives when its token has been replaced already
Act 3  failure  the session was revoked, so the refresh fails
Act 4  quitter  the only caller gives up while the refresh is under way

Each act prints what the servers saw and what was counted. If a count is off,
the exit code is 1.

Options:
  --threads N   callers in acts 1 and 3, at most 500 [50]
  --latency MS  how long a refresh takes in acts 1 to 3, at most 2000 [20]
  --acts LIST   which acts, for example 1,3 [1,2,3,4]
  --help        this text
";

struct Options {
    threads: usize,
    latency: Duration,
    acts: Vec<u8>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("storm: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match play(&options) {
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
    let mut options = Options { threads: 50, latency: Duration::from_millis(20), acts: vec![1, 2, 3, 4] };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("threads") => options.threads = within(&(1..=500), parser.value()?.parse()?)?,
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

/// `false`: a count is off.
fn play(options: &Options) -> Result<bool, Box<dyn StdError>> {
    let mut right = true;
    for act in &options.acts {
        let patience = if *act == 4 { Duration::from_millis(200) } else { Duration::from_secs(30) };
        let stage = Stage::set(patience)?;
        let counts = match act {
            1 => storm(&stage, options),
            2 => late(&stage, options),
            3 => failure(&stage, options),
            _ => quitter(&stage)?,
        };
        right &= stage.report(&counts);
    }
    Ok(right)
}

/// All threads are refused at once: one refreshes, and all are answered.
fn storm(stage: &Stage, options: &Options) -> Vec<Count> {
    let threads = options.threads;
    println!("Act 1, a storm: {threads} threads share a token that has just expired.");
    let outcomes = stage.charge(threads, options.latency);
    vec![
        count("requests refused with 401", threads, stage.api.answered(401)),
        count("refreshes", 1, stage.refreshes()),
        count("callers with their answer", threads, outcomes.iter().flatten().count()),
        count("sessions revoked because a refresh token came twice", 0, stage.auth.families_revoked()),
    ]
}

/// A refusal arrives when its token has been replaced already.
fn late(stage: &Stage, options: &Options) -> Vec<Count> {
    println!("Act 2, a late refusal: one 401 is held back until another request has refreshed the token.");
    let gate = Gate::new();
    stage.api.script([Step::new().on("/late").hold_after(&gate)]);
    stage.auth.script([Step::new().delay_before(options.latency)]);
    let content = thread::scope(|scope| {
        let late = scope.spawn(|| stage.get("/late").is_ok());
        let arrived = gate.wait_arrived(1, Duration::from_secs(20));
        let prompt = arrived && stage.get("/prompt").is_ok();
        gate.open();
        usize::from(prompt) + usize::from(late.join().unwrap_or(false))
    });
    vec![
        count("requests refused with 401", 2, stage.api.answered(401)),
        count("refreshes", 1, stage.refreshes()),
        count("callers with their answer", 2, content),
    ]
}

/// The refresh fails for good: everybody hears it at once, and nobody tries again.
fn failure(stage: &Stage, options: &Options) -> Vec<Count> {
    let threads = options.threads;
    println!("Act 3, a failure: the session was revoked on the server, and {threads} threads find out.");
    stage.auth.revoke_family(1);
    let start = Instant::now();
    let outcomes = stage.charge(threads, options.latency);
    println!("  the last caller has its error after {:.3} s", start.elapsed().as_secs_f64());
    if let Some(Err(error)) = outcomes.first() {
        println!("  it says: {error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    }

    let sent = stage.api.log().len();
    let later = stage.get("/later");
    let clear = |outcome: &&Outcome| matches!(outcome, Err(Error::Refused(_))) && needs_sign_in(outcome);
    vec![
        count("callers with the 401 and the reason: sign in", threads, outcomes.iter().filter(clear).count()),
        count("refreshes", 1, stage.refreshes()),
        count("later callers who are told so at once", 1, usize::from(needs_sign_in(&later))),
        count("requests that they sent", 0, stage.api.log().len() - sent),
    ]
}

fn needs_sign_in(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|error| error.cause() == Some(Cause::NeedsSignIn))
}

/// The only caller gives up: the refresh goes on, and its token is kept.
fn quitter(stage: &Stage) -> Result<Vec<Count>, Box<dyn StdError>> {
    println!("Act 4, a quitter: the only caller waits 0.2 s, and the authorization server takes longer.");
    let gate = Gate::new();
    stage.auth.script([Step::new().hold_after(&gate)]);
    let quit = stage.get("/quit");
    gate.open();
    stage.agent.session().settle(Duration::from_secs(20))?;
    let next = stage.get("/next");
    Ok(vec![
        count("callers who gave up", 1, usize::from(quit.is_err())),
        count("refreshes", 1, stage.refreshes()),
        count("later callers with their answer", 1, usize::from(next.is_ok())),
        count("requests refused with 401", 1, stage.api.answered(401)),
    ])
}

type Outcome = Result<ureq::http::Response<ureq::Body>, Error>;

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
    agent: AuthAgent,
}

impl Stage {
    fn set(time_limit: Duration) -> Result<Self, Box<dyn StdError>> {
        let auth = AuthorizationServer::start(Policy::default())?;
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
        let issued = auth.issue();
        auth.expire(&issued.access_token);
        let grant = Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?;
        let client = OAuthClient::new(ClientAuth::None { client_id: "storm".into() });
        let endpoint = Endpoint::https_or_loopback(&auth.url("/token"))?;
        let session = Session::builder()
            .time_limit(time_limit)
            .blocking(UreqTransport::new(), OAuthProfile::refresh_token(client, endpoint))?;
        session.sign_in(grant);
        let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?);
        Ok(Self { agent: AuthAgent::new(ureq::agent(), session, rules), auth, api })
    }

    fn get(&self, path: &str) -> Outcome {
        self.agent.run(Request::get(self.api.url(path)).body(()).map_err(ureq::Error::from)?)
    }

    /// All at once: the API refuses nobody before everybody is there.
    fn charge(&self, threads: usize, latency: Duration) -> Vec<Outcome> {
        let gate = Gate::new();
        self.api.script((0..threads).map(|_| Step::new().hold_after(&gate)));
        self.auth.script([Step::new().delay_before(latency)]);
        thread::scope(|scope| {
            let callers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.get("/things"))).collect();
            if !gate.wait_arrived(threads, Duration::from_secs(20)) {
                println!("  not all requests arrived");
            }
            gate.open();
            callers.into_iter().filter_map(|caller| caller.join().ok()).collect()
        })
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
