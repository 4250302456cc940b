//! A web service that calls another API in the name of each of its users: one session for each of them.
//!
//! `cargo run -p token-refresh-reqwest --example tenants -- --help`

use std::{error::Error as StdError, net::Ipv4Addr, process::ExitCode, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt as _, stream};
use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Cause, Endpoint, Error, Grant, OAuthProfile, ReqwestTransport, Rules,
    Session, TokioRuntime,
    driver::{BuildError, Sessions, store::MemoryTable},
    reqwest::{self, Client},
    wire::{ClientAuth, OAuthClient},
};
use tokio::net::TcpListener;

const HELP: &str = "\
A web service that calls another API in the name of each of its users.

Every user has signed in once, so the service has a refresh token of each. A
tenth of the sessions have room in its table: the others are in their stores,
and are opened when their user comes.

Starts the service, an API and an authorization server on 127.0.0.1, lets all
users ask twice, counts, and ends; with exit code 1 if a count is off.

Options:
  --users N  how many users there are, 20 to 20000 [10000]
  --help     this text
";

type User = u32;

/// What the handlers need.
#[derive(Clone)]
struct Notes {
    sessions: Arc<Sessions<User>>,
    api: AuthClient,
    base: String,
}

fn service(notes: Notes) -> Router {
    Router::new().route("/notes/{id}", get(note)).with_state(notes)
}

/// Asks the API with the token of whoever asks.
async fn note(
    State(notes): State<Notes>,
    Asking(user): Asking,
    Path(id): Path<u32>,
) -> Result<Response, Problem> {
    let session = notes.sessions.get(&user)?;
    let answer = notes.api.get(format!("{}/notes/{id}", notes.base)).extension(session).send().await?;
    Ok(http::Response::<reqwest::Body>::from(answer).map(Body::new))
}

/// Who asks. A real service would look at its own cookie here.
struct Asking(User);

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let name = parts.headers.get("x-user").and_then(|value| value.to_str().ok()?.parse().ok());
        name.map(Self).ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// No answer of the API's.
enum Problem {
    Session(BuildError),
    Request(Error),
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Self {
        Self::Session(error)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Session(error) => {
                eprintln!("a session does not open: {error}");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Request(error) => match error.cause() {
                // This user has to sign in again; nobody else.
                Some(Cause::NeedsSignIn) => StatusCode::UNAUTHORIZED,
                Some(_) => StatusCode::SERVICE_UNAVAILABLE,
                None => StatusCode::BAD_GATEWAY,
            },
        };
        status.into_response()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let users = match options() {
        Ok(Some(users)) => users,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("tenants: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match run(users).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("A count is off.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tenants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<User>, lexopt::Error> {
    let mut users = 10_000;
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("users") => users = parser.value()?.parse_with(number_of_users)?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(users))
}

fn number_of_users(text: &str) -> Result<User, String> {
    text.parse()
        .ok()
        .filter(|users| (20..=20_000).contains(users))
        .ok_or("not between 20 and 20000".to_owned())
}

/// `false`: a count is off.
async fn run(users: User) -> Result<bool, Box<dyn StdError>> {
    let auth = AuthorizationServer::start(Policy::default())?;
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let client = OAuthClient::new(ClientAuth::None { client_id: "notes".into() });
    let endpoint = Endpoint::https_or_loopback(&auth.url("/token"))?;
    let profile = OAuthProfile::refresh_token(client, endpoint);
    let transport = ReqwestTransport::new()?;
    let runtime = TokioRuntime::current()?;

    let room = usize::try_from(users)? / 10;
    // A service with more than one process has a row of a database for each user instead.
    let store = MemoryTable::new();
    let sessions = Arc::new({
        let (profile, transport, runtime) = (profile.clone(), transport.clone(), runtime.clone());
        Sessions::new(move |user: &User| {
            let builder = Session::builder().async_store(store.store(*user));
            builder.asynchronous(transport.clone(), profile.clone(), runtime.clone())
        })
        .max_sessions(room)
    });
    println!("{users} users sign in. Their access tokens expire, and they ask for a note each:");
    for user in 0..users {
        let issued = auth.issue();
        auth.expire(&issued.access_token);
        let session = sessions.get(&user)?;
        session.sign_in(Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?);
    }

    // Nobody is signed in to the client's own session: a request that names no user has no token.
    let nobody = Session::builder().asynchronous(transport, profile, runtime)?;
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?);
    let notes = Notes {
        sessions: Arc::clone(&sessions),
        api: AuthClient::new(Client::builder().no_proxy(), nobody, rules)?,
        base: api.url(""),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let service = tokio::spawn(axum::serve(listener, service(notes)).into_future());

    let mut right = count("users with their note", users, ask(&url, users).await);
    right &= count("refreshes", users, auth.token_requests().len());
    println!("They ask again:");
    right &= count("users with their note", users, ask(&url, users).await);
    right &= count("refreshes more", 0, auth.token_requests().len() - usize::try_from(users)?);
    println!("  {:>5}  sessions in a table with room for {room}", sessions.len());
    right &= sessions.len() <= room;
    service.abort();
    Ok(right)
}

/// How many of the users get a note. Some of them ask at the same time.
async fn ask(service: &str, users: User) -> usize {
    let browser = Client::builder().no_proxy().build();
    let answers = stream::iter(0..users).map(|user| {
        let request = browser.as_ref().map(|browser| browser.get(format!("{service}/notes/{user}")));
        async move { request.ok()?.header("x-user", user).send().await.ok() }
    });
    answers.buffer_unordered(32).filter(|answer| std::future::ready(good(answer.as_ref()))).count().await
}

fn good(answer: Option<&reqwest::Response>) -> bool {
    answer.is_some_and(|answer| answer.status() == StatusCode::OK)
}

fn count(what: &str, expected: User, counted: usize) -> bool {
    let right = u32::try_from(counted) == Ok(expected);
    println!("  {counted:>5}  {what} ({}, expected {expected})", if right { "ok" } else { "OFF" });
    right
}
