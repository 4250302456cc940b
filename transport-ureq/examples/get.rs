//! Fetches a URL with an access token, and refreshes the token when it has to.
//!
//! `cargo run -p token-refresh-ureq --features rustls --example get -- --help`

use std::{
    env,
    error::Error as StdError,
    fmt, fs,
    io::{self, Read as _, Write as _},
    iter,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Cause, Endpoint, Grant, OAuthProfile, Rules, Secret, Session, UreqTransport,
    driver::{Timestamp, store::FileStore},
    wire::{ClientAuth, OAuthClient, Reply},
};
use ureq::{
    Agent,
    http::{Request, Uri},
};

const HELP: &str = "\
Fetches a URL with an OAuth 2 access token: status to stderr, content to stdout.
If the token is refused or has expired, it is refreshed and the request sent
once more. New tokens are in the credentials file before they are used.

Usage: get --token-endpoint URL --client-id ID --credentials FILE [OPTIONS] URL

The first time, give it the answer that the token endpoint gave you:

  get … --credentials token.json --sign-in - < answer.json
  get … --credentials token.json https://api.example.com/me

Required:
  --token-endpoint URL       where tokens are refreshed
  --client-id ID             who we are there
  --credentials FILE         where the tokens live; only you can read it. Several
                             programs may use the file at the same time.
Options:
  --sign-in FILE             begin with the tokens in this JSON, - for stdin:
                             {\"access_token\":…, \"token_type\":\"Bearer\",
                              \"refresh_token\":…, \"expires_in\":…}
  --client-secret-file FILE  our secret at the token endpoint; or in the
                             environment: CLIENT_SECRET
  --allow ORIGIN             the token may also go to https://host[:port]; the
                             origin of URL is always allowed
  --loopback-http            http is fine for 127.0.0.1 and [::1], for tests
  --timeout SECONDS          for each request [30]
  --help                     this text

Exit codes: 0 an answer below 400; 1 another answer, or none; 2 wrong usage;
3 sign in again; 4 try again later.
";

#[derive(Default)]
struct Options {
    url: Option<Uri>,
    token_endpoint: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    credentials: PathBuf,
    sign_in: Option<PathBuf>,
    allow: Vec<String>,
    loopback_http: bool,
    timeout: Duration,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("get: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("get: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { timeout: Duration::from_secs(30), ..Options::default() };
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("token-endpoint") => options.token_endpoint = parser.value()?.string()?,
            Arg::Long("client-id") => options.client_id = parser.value()?.string()?,
            Arg::Long("client-secret-file") => options.client_secret_file = Some(parser.value()?.into()),
            Arg::Long("credentials") => options.credentials = parser.value()?.into(),
            Arg::Long("sign-in") => options.sign_in = Some(parser.value()?.into()),
            Arg::Long("allow") => options.allow.push(parser.value()?.string()?),
            Arg::Long("loopback-http") => options.loopback_http = true,
            Arg::Long("timeout") => options.timeout = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(url) if options.url.is_none() => options.url = Some(url.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    let required = [
        ("--token-endpoint", options.token_endpoint.is_empty()),
        ("--client-id", options.client_id.is_empty()),
        ("--credentials", options.credentials.as_os_str().is_empty()),
        ("a URL, or --sign-in", options.url.is_none() && options.sign_in.is_none()),
    ];
    match required.into_iter().find(|(_, missing)| *missing) {
        Some((what, _)) => Err(format!("{what} is missing").into()),
        None => Ok(Some(options)),
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn StdError>> {
    let session = session(options)?;
    if let Some(answer) = &options.sign_in {
        session.sign_in(grant(options, answer)?);
        session
            .settle(options.timeout)
            .map_err(|error| Problem::new("the tokens could not be saved", error))?;
    }
    let Some(url) = &options.url else { return Ok(ExitCode::SUCCESS) };
    let tls = url.scheme_str() == Some("https") || options.token_endpoint.starts_with("https");
    if tls && !cfg!(feature = "rustls") {
        return Err("this build has no TLS; build it with --features rustls".into());
    }

    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(options.timeout));
    let agent = AuthAgent::new(config.build().new_agent(), session.clone(), rules(options, url)?);
    let outcome = agent.run(Request::get(url).body(())?);
    // Whatever came of the request: if a new token is on its way, wait until it is in the file.
    let settled = session.settle(options.timeout);

    let (response, code) = match outcome {
        Ok(response) => (Some(response), ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("get: {}", chain(&error));
            let code = match error.cause() {
                Some(Cause::NeedsSignIn) => {
                    eprintln!("get: --sign-in begins with new tokens");
                    ExitCode::from(3)
                }
                Some(Cause::Transient) => ExitCode::from(4),
                _ => ExitCode::FAILURE,
            };
            (error.into_response(), code)
        }
    };
    settled.map_err(|error| Problem::new("the new tokens are not in the credentials file", error))?;
    let Some(response) = response else { return Ok(code) };
    let failed = response.status().is_client_error() || response.status().is_server_error();
    eprintln!("{:?} {}", response.version(), response.status());
    io::copy(&mut response.into_body().into_reader(), &mut io::stdout().lock())?;
    io::stdout().flush()?;
    Ok(if failed && code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code })
}

fn session(options: &Options) -> Result<Session, Box<dyn StdError>> {
    let path = &options.credentials;
    if options.sign_in.is_none() && !path.exists() {
        return Err(Problem::at(path, "there is no such file; begin with --sign-in").into());
    }
    let store = FileStore::open(path)?.on_error(|error| eprintln!("get: {error}"));
    let endpoint = if options.loopback_http { Endpoint::https_or_loopback } else { Endpoint::https };
    let endpoint =
        endpoint(&options.token_endpoint).map_err(|error| Problem::new("--token-endpoint", error))?;
    let profile = OAuthProfile::refresh_token(client(options)?, endpoint);
    let transport = UreqTransport::new().on_error(|error| eprintln!("get: the token endpoint: {error}"));
    Ok(Session::builder().store(store).time_limit(options.timeout).blocking(transport, profile)?)
}

fn client(options: &Options) -> Result<OAuthClient, Box<dyn StdError>> {
    let client_id = options.client_id.clone();
    let secret = match &options.client_secret_file {
        Some(path) => {
            Some(String::from_utf8(read(path)?).map_err(|_| Problem::at(path, "this is not text"))?)
        }
        None => env::var("CLIENT_SECRET").ok(),
    };
    let auth = match secret.as_deref().map(str::trim_end).filter(|secret| !secret.is_empty()) {
        Some(secret) => ClientAuth::Basic { client_id, client_secret: Secret::from(secret) },
        None => ClientAuth::None { client_id },
    };
    Ok(OAuthClient::new(auth))
}

/// Reads what a token endpoint has answered once.
fn grant(options: &Options, path: &Path) -> Result<Grant, Box<dyn StdError>> {
    let answer = read(path)?;
    let reply = Reply { status: 200, headers: &[], body: &answer };
    let grant = client(options)?.read(&reply, Timestamp::ZERO);
    let wrong = "this is not the answer of a token endpoint: JSON with access_token and token_type";
    grant.map_err(|_| Problem::at(path, wrong).into())
}

/// A file, or what comes on stdin; not more of it than a token endpoint may answer.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    const MOST: u64 = 1 << 20;
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MOST).read_to_end(&mut content)
    } else {
        fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut content))
    };
    read.map_err(|error| Problem::at(path, error))?;
    Ok(content)
}

fn rules(options: &Options, url: &Uri) -> Result<Rules, Problem> {
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(Problem::new("the URL", "write it in full, as in https://api.example.com/me"));
    };
    let mut origins = AllowedOrigins::none();
    for origin in iter::once(&format!("{scheme}://{authority}")).chain(&options.allow) {
        let allowed = match origin.starts_with("http:") {
            true if !options.loopback_http => {
                return Err(Problem::new(
                    origin,
                    "a token travels over https only; --loopback-http is for tests",
                ));
            }
            true => origins.loopback_http(origin),
            false => origins.https(origin),
        };
        origins = allowed.map_err(|error| Problem::new(origin, error))?;
    }
    Ok(Rules::new(origins))
}

/// An error, and what it is about.
#[derive(Debug)]
struct Problem {
    about: String,
    error: Box<dyn StdError>,
}

impl Problem {
    fn new(about: &str, error: impl Into<Box<dyn StdError>>) -> Self {
        Self { about: about.to_owned(), error: error.into() }
    }

    fn at(path: &Path, error: impl Into<Box<dyn StdError>>) -> Self {
        Self::new(&path.display().to_string(), error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.about)
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.error)
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let errors = iter::successors(Some(error), |error| (*error).source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
