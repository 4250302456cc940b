//! A local reverse proxy that adds a fresh access token to every request, for programs in any language.
//!
//! `cargo run -p token-refresh-hyper --example gateway -- --help`

mod demo;
mod proxy;

use std::{
    error::Error as StdError,
    fs,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use lexopt::{Arg, Parser, ValueExt as _};
use proxy::Gateway;
use token_refresh_hyper::{
    AllowedOrigins, Endpoint, Grant, HyperTransport, OAuthProfile, Rules, Session, TokioRuntime,
    driver::{Timestamp, store::FileStore},
    wire::{ClientAuth, OAuthClient, Reply},
};
use tokio::net::TcpListener;

const HELP: &str = "\
A local reverse proxy that adds a fresh OAuth 2 access token to every request.
A program in any language gets refresh by changing its base URL:

  gateway --upstream https://api.example.com --token-endpoint URL
          --client-id ID --credentials FILE
  curl http://127.0.0.1:8080/me

  GET /healthz   the state of the session: 200 while it is good, else 503

Whoever can reach the gateway acts in your name. It listens on a loopback
address only, and turns web pages away.

Without options it starts an API and an authorization server on 127.0.0.1,
plays five scenes in front of them, counts, and ends; with exit code 1 if a
count is off.

Required:
  --upstream URL         where requests go: https, or http on 127.0.0.1 or [::1]
  --token-endpoint URL   where tokens are refreshed; the same holds for it
  --client-id ID         who we are there
  --credentials FILE     where the tokens live; only you can read it
Options:
  --sign-in FILE         begin with the tokens in this JSON, - for stdin:
                         {\"access_token\":…, \"token_type\":\"Bearer\",
                          \"refresh_token\":…, \"expires_in\":…}
  --listen ADDRESS       [127.0.0.1:8080]
  --help                 this text
";

/// How long a refresh under way is waited for at the end.
const SETTLE: Duration = Duration::from_secs(20);

struct Options {
    upstream: Uri,
    token_endpoint: String,
    client_id: String,
    credentials: PathBuf,
    sign_in: Option<PathBuf>,
    listen: SocketAddr,
}

enum Command {
    Help,
    Demo,
    Serve(Box<Options>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match command() {
        Ok(Command::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Command::Demo) => demo::play().await,
        Ok(Command::Serve(options)) => serve(&options).await.map(|()| true),
        Err(error) => {
            eprintln!("gateway: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("A count is off.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<Command, lexopt::Error> {
    let (mut upstream, mut token_endpoint, mut client_id, mut credentials) = (None, None, None, None);
    let (mut sign_in, mut listen) = (None, SocketAddr::from(([127, 0, 0, 1], 8080)));
    let mut parser = Parser::from_env();
    let mut given = false;
    while let Some(argument) = parser.next()? {
        given = true;
        match argument {
            Arg::Long("upstream") => upstream = Some(parser.value()?.parse()?),
            Arg::Long("token-endpoint") => token_endpoint = Some(parser.value()?.string()?),
            Arg::Long("client-id") => client_id = Some(parser.value()?.string()?),
            Arg::Long("credentials") => credentials = Some(parser.value()?.into()),
            Arg::Long("sign-in") => sign_in = Some(parser.value()?.into()),
            Arg::Long("listen") => listen = parser.value()?.parse_with(loopback)?,
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if !given {
        return Ok(Command::Demo);
    }
    Ok(Command::Serve(Box::new(Options {
        upstream: upstream.ok_or("--upstream is missing")?,
        token_endpoint: token_endpoint.ok_or("--token-endpoint is missing")?,
        client_id: client_id.ok_or("--client-id is missing")?,
        credentials: credentials.ok_or("--credentials is missing")?,
        sign_in,
        listen,
    })))
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address and a port")?;
    if address.ip().is_loopback() { Ok(address) } else { Err("not a loopback address".into()) }
}

async fn serve(options: &Options) -> Result<(), Box<dyn StdError>> {
    let client = OAuthClient::new(ClientAuth::None { client_id: options.client_id.clone() });
    let endpoint = Endpoint::https_or_loopback(&options.token_endpoint)?;
    let store = FileStore::open(&options.credentials)?.on_error(|error| eprintln!("gateway: {error}"));
    let session = Session::builder().store(store).asynchronous(
        HyperTransport::new(connector()),
        OAuthProfile::refresh_token(client.clone(), endpoint),
        TokioRuntime::current()?,
    )?;
    if let Some(file) = &options.sign_in {
        session.sign_in(grant(&client, file)?);
        session.settle_async(SETTLE).await?;
    }
    let listener = TcpListener::bind(options.listen).await?;
    println!("http://{} until Ctrl-C", listener.local_addr()?);
    let gateway = Gateway::new(session.clone(), rules(&options.upstream)?, &options.upstream, log)?;
    gateway.serve(listener, stopped()).await?;
    // A new token that is on its way is worth waiting for.
    Ok(session.settle_async(SETTLE).await?)
}

fn log(line: &str) {
    println!("{line}");
}

/// TLS, and http for loopback addresses; who may have a token is decided elsewhere. HTTP/1 only, as [`HyperTransport`]
/// wants it.
fn connector() -> HttpsConnector<HttpConnector> {
    HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build()
}

/// The token goes to the upstream and nowhere else.
fn rules(upstream: &Uri) -> Result<Rules, Box<dyn StdError>> {
    let (Some(scheme), Some(authority)) = (upstream.scheme_str(), upstream.authority()) else {
        return Err("write the upstream in full, as in https://api.example.com".into());
    };
    let origin = format!("{scheme}://{authority}");
    let origins = AllowedOrigins::none();
    let origins = if scheme == "http" { origins.loopback_http(&origin) } else { origins.https(&origin) };
    Ok(Rules::new(origins?))
}

/// Reads what a token endpoint has answered once.
fn grant(client: &OAuthClient, file: &Path) -> Result<Grant, Box<dyn StdError>> {
    const MOST: u64 = 1 << 20;
    let mut answer = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MOST).read_to_end(&mut answer)?;
    } else {
        fs::File::open(file)?.take(MOST).read_to_end(&mut answer)?;
    }
    let reply = Reply { status: 200, headers: &[], body: &answer };
    let grant = client.read(&reply, Timestamp::ZERO);
    Ok(grant
        .map_err(|_| "--sign-in: not the answer of a token endpoint, with access_token and token_type")?)
}

/// Ctrl-C, or what a service manager sends.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler for the signal the process simply ends.
    let _ = tokio::signal::ctrl_c().await;
}
