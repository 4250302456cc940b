//! A web service that calls another API for its users, through one session.
//!
//! `cargo run -p token-refresh-reqwest --example service -- --help`

use std::{
    error::Error as StdError,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::get,
};
use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_conformance::server::{
    AuthorizationServer, Gate, Policy, ResourcePolicy, ResourceServer, Step,
};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Cause, Endpoint, Error, Grant, OAuthProfile, Rules, driver,
    reqwest::{self, Client},
    wire::{ClientAuth, OAuthClient},
};
use tokio::{
    net::TcpListener,
    task::{JoinSet, spawn_blocking},
};

const HELP: &str = "\
A web service that calls another API for its users, through one session.

Its users know nothing of tokens. The service has one, and when it expires they
do not notice. When it cannot be renewed they are told that it is not their
fault, and /healthz tells the operator what to do.

  GET /notes/17  asks the API for a note
  GET /healthz   200 while the session is good, else 503

Without options it starts the service, an API and an authorization server on
127.0.0.1, plays three scenes, counts, and ends; with exit code 1 if a count is
off.

Options:
  --users N     how many users ask at once, 1 to 400 [100]
  --listen PORT stays, so that you can be the user: curl 127.0.0.1:PORT/notes/17
  --help        this text
";

/// What the handlers need.
#[derive(Clone)]
struct Notes {
    api: AuthClient,
    base: String,
}

fn service(notes: Notes) -> Router {
    Router::new().route("/notes/{id}", get(note)).route("/healthz", get(health)).with_state(notes)
}

/// The content streams through.
async fn note(State(notes): State<Notes>, Path(id): Path<u32>) -> Result<Response, Problem> {
    let answer = notes.api.get(format!("{}/notes/{id}", notes.base)).send().await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        // It is about our credentials. A user would think of his own.
        return Ok(StatusCode::BAD_GATEWAY.into_response());
    }
    Ok(http::Response::<reqwest::Body>::from(answer).map(Body::new))
}

async fn health(State(notes): State<Notes>) -> Response {
    match notes.api.session().state() {
        driver::State::Failed(failure) => {
            let advice = match failure.cause() {
                Cause::NeedsSignIn => "sign in again",
                Cause::Misconfigured => "mend the client's registration, then restart",
                Cause::Transient => "wait",
                _ => "look at the authorization server",
            };
            (StatusCode::SERVICE_UNAVAILABLE, format!("{failure}: {advice}\n")).into_response()
        }
        driver::State::Idle | driver::State::Refreshing => "good\n".into_response(),
    }
}

/// No answer of the API's. Says nothing about tokens to users.
struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.0.cause() {
            Some(Cause::Transient) => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")]).into_response(),
            Some(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            None => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

struct Options {
    users: usize,
    listen: Option<u16>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("service: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("A count is off.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { users: 100, listen: None };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("users") => options.users = parser.value()?.parse_with(users)?,
            Arg::Long("listen") => options.listen = Some(parser.value()?.parse()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn users(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|users| (1..=400).contains(users)).ok_or("not between 1 and 400".to_owned())
}

/// `false`: a count is off.
async fn run(options: &Options) -> Result<bool, Box<dyn StdError>> {
    let auth = AuthorizationServer::start(Policy::default())?;
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let profile = OAuthProfile::refresh_token(
        OAuthClient::new(ClientAuth::None { client_id: "notes".into() }),
        Endpoint::https_or_loopback(&auth.url("/token"))?,
    );
    let session = token_refresh_reqwest::session(profile)?;
    session.sign_in(expired(&auth)?);
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?);
    let client = AuthClient::new(Client::builder().no_proxy(), session.clone(), rules)?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.listen.unwrap_or(0))).await?;
    let addr = listener.local_addr()?;
    let service = axum::serve(listener, service(Notes { api: client, base: api.url("") }));
    let right = if options.listen.is_some() {
        println!("http://{addr}/notes/17 until Ctrl-C");
        service.with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
        true
    } else {
        let service = tokio::spawn(service.into_future());
        let right = Demo { auth: &auth, api: &api, addr, users: options.users }.play(&session).await?;
        service.abort();
        right
    };
    // A new token that is on its way is worth waiting for.
    session.settle_async(Duration::from_secs(20)).await?;
    Ok(right)
}

/// An access token that has expired and a refresh token that is good.
fn expired(auth: &AuthorizationServer) -> Result<Grant, Box<dyn StdError>> {
    let issued = auth.issue();
    auth.expire(&issued.access_token);
    Ok(Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?)
}

struct Demo<'a> {
    auth: &'a AuthorizationServer,
    api: &'a ResourceServer,
    addr: SocketAddr,
    users: usize,
}

impl Demo<'_> {
    async fn play(&self, session: &driver::Session) -> Result<bool, Box<dyn StdError>> {
        let users = self.users;
        println!("{users} users ask at once, when the token of the service has just expired:");
        let good = self.ask(StatusCode::OK).await;
        let mut right = count("users with their note", users, good);
        right &= count("requests refused by the API", users, self.api.answered(401));
        right &= count("refreshes", 1, self.auth.token_requests().len());

        println!("The session is revoked at the authorization server, and {users} users ask:");
        self.auth.revoke_family(1);
        let told = self.ask(StatusCode::SERVICE_UNAVAILABLE).await;
        right &= count("users who are told to come later", users, told);
        right &= count("refreshes more", 1, self.auth.token_requests().len() - 1);
        let health = self.get("/healthz").await?;
        right &= count("health checks that fail", 1, usize::from(health.status() == 503));
        print!("  /healthz says: {}", health.text().await?);

        println!("The operator signs in again, and {users} users ask:");
        session.sign_in(expired(self.auth)?);
        let good = self.ask(StatusCode::OK).await;
        right &= count("users with their note", users, good);
        right &=
            count("health checks that fail", 0, usize::from(self.get("/healthz").await?.status() != 200));
        Ok(right)
    }

    /// How many of the users get this status. The API answers nobody before everybody is there.
    async fn ask(&self, status: StatusCode) -> usize {
        let gate = Gate::new();
        self.api.script((0..self.users).map(|_| Step::new().hold_after(&gate)));
        let users: JoinSet<_> = (0..self.users).map(|user| self.get(&format!("/notes/{user}"))).collect();
        let waiting = {
            let (gate, users) = (gate.clone(), self.users);
            spawn_blocking(move || gate.wait_arrived(users, Duration::from_secs(20)))
        };
        if !waiting.await.unwrap_or(false) {
            println!("  not all requests arrived");
        }
        gate.open();
        let answers = users.join_all().await;
        answers.iter().flatten().filter(|answer| answer.status() == status).count()
    }

    fn get(&self, path: &str) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
        let user = Client::builder().no_proxy().build();
        let url = format!("http://{}{path}", self.addr);
        async move { user?.get(url).send().await }
    }
}

fn count(what: &str, expected: usize, counted: usize) -> bool {
    let verdict = if counted == expected { "ok" } else { "OFF" };
    println!("  {counted:>5}  {what} ({verdict}, expected {expected})");
    counted == expected
}
