//! Where the tokens are, and who may refresh them: what every command that uses a token has to be told.

use std::{
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use token_refresh_hyper::{
    AllowedOrigins, Endpoint, Grant, HyperTransport, OAuthProfile, Rules, Secret, Session, TokioRuntime,
    driver::{ClientSecret, Preset, Timestamp, store::FileStore},
    wire::{ClientAuth, OAuthClient, Reply},
};

use crate::problem::Problem;

#[derive(Args)]
pub(crate) struct Account {
    #[command(flatten)]
    credentials: Credentials,
    /// Where tokens are refreshed: https, or http on 127.0.0.1 or [::1]
    #[arg(long, value_name = "URL", env = "TOKEN_REFRESH_TOKEN_ENDPOINT", value_parser = Endpoint::https_or_loopback)]
    token_endpoint: Endpoint,
    /// Who we are there
    #[arg(long, value_name = "ID", env = "TOKEN_REFRESH_CLIENT_ID")]
    client_id: String,
    /// Our secret there, in a file; or itself in the environment: TOKEN_REFRESH_CLIENT_SECRET. Default: none
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// What kind of server it is: how a secret is sent, and what is done when an answer gets lost
    #[arg(
        long,
        value_name = "NAME",
        env = "TOKEN_REFRESH_PRESET",
        value_parser = PossibleValuesParser::new(PRESETS.map(|(name, _)| name)).map(|name| preset(&name))
    )]
    preset: Option<Preset>,
    /// Begin with the tokens in this JSON, the answer of a token endpoint; - for stdin
    #[arg(long, value_name = "FILE")]
    sign_in: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Credentials {
    /// Where the tokens live. Only you can read it, and several programs may use it at the same time
    #[arg(long = "credentials", value_name = "FILE", env = "TOKEN_REFRESH_CREDENTIALS")]
    pub(crate) path: PathBuf,
}

const PRESETS: [(&str, Preset); 7] = [
    ("entra", Preset::ENTRA),
    ("auth0", Preset::AUTH0),
    ("okta", Preset::OKTA),
    ("keycloak", Preset::KEYCLOAK),
    ("cognito", Preset::COGNITO),
    ("hydra", Preset::HYDRA),
    ("github-app", Preset::GITHUB_APP),
];

fn preset(name: &str) -> Option<Preset> {
    PRESETS.into_iter().find(|(known, _)| *known == name).map(|(_, preset)| preset)
}

impl Account {
    /// The session, signed in if that was wanted.
    pub(crate) async fn session(&self, limit: Duration) -> Result<Session, Problem> {
        let store = match self.sign_in {
            Some(_) => self.credentials.create()?,
            None => self.credentials.open()?,
        };
        let client = self.client()?;
        let profile = OAuthProfile::refresh_token(client.clone(), self.token_endpoint.clone());
        let config = self.preset.map(|preset| preset.config()).unwrap_or_default();
        let runtime = TokioRuntime::current().map_err(|error| Problem::about("the runtime", &error))?;
        let transport = HyperTransport::new(connector()).on_error(|error| {
            let problem = Problem::about("the token endpoint", error);
            anstream::eprintln!("token-refresh: {problem}");
        });
        let session = Session::builder()
            .config(config)
            .store(store)
            .time_limit(limit)
            .asynchronous(transport, profile, runtime)
            .map_err(|error| Problem::about("the session", &error))?;
        if let Some(file) = &self.sign_in {
            session.sign_in(grant(&client, file)?);
            self.settle(&session, limit).await?;
        }
        Ok(session)
    }

    /// Waits until everything new is in the file. To be called whatever came of the work.
    pub(crate) async fn settle(&self, session: &Session, limit: Duration) -> Result<(), Problem> {
        session.settle_async(limit).await.map_err(|error| {
            Problem::about(
                format_args!("{}: new tokens are not in the file", self.credentials.path.display()),
                &error,
            )
            .advise("see that the file can be written, and use this command again")
        })
    }

    fn client(&self) -> Result<OAuthClient, Problem> {
        let client_id = self.client_id.clone();
        let secret = match &self.client_secret_file {
            Some(path) => {
                let text = String::from_utf8(read(path)?);
                Some(text.map_err(|_| Problem::new(format!("{}: this is not text", path.display())))?)
            }
            None => env::var("TOKEN_REFRESH_CLIENT_SECRET").ok(),
        };
        let secret =
            secret.as_deref().map(str::trim_end).filter(|secret| !secret.is_empty()).map(Secret::from);
        let style = self.preset.map(|preset| preset.client_secret);
        Ok(OAuthClient::new(match (secret, style) {
            (None, _) => ClientAuth::None { client_id },
            (Some(client_secret), Some(ClientSecret::Post)) => ClientAuth::Post { client_id, client_secret },
            (Some(client_secret), _) => ClientAuth::Basic { client_id, client_secret },
        }))
    }
}

impl Credentials {
    /// The file, which is there.
    pub(crate) fn open(&self) -> Result<FileStore, Problem> {
        match self.path.try_exists() {
            Ok(true) => self.create(),
            Ok(false) => {
                Err(Problem::needs_sign_in(format!("{}: there is no such file", self.path.display())))
            }
            Err(error) => Err(Problem::at(&self.path, &error)),
        }
    }

    fn create(&self) -> Result<FileStore, Problem> {
        let store = FileStore::open(&self.path).map_err(|error| Problem::about("the credentials", &error))?;
        Ok(store.on_error(|error| anstream::eprintln!("token-refresh: {error}")))
    }
}

/// TLS, and http for loopback addresses; who may have a token is decided elsewhere. HTTP/1 only, as [`HyperTransport`]
/// wants it.
pub(crate) fn connector() -> HttpsConnector<HttpConnector> {
    HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build()
}

/// The token goes to where this URL leads, and nowhere else.
pub(crate) fn rules(url: &Uri) -> Result<Rules, Problem> {
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(Problem::new(format!("{url}: this is not a whole URL")).advise("begin it with https://"));
    };
    let origin = format!("{scheme}://{authority}");
    let origins = AllowedOrigins::none();
    let origins = if scheme == "http" { origins.loopback_http(&origin) } else { origins.https(&origin) };
    Ok(Rules::new(origins.map_err(|error| {
        Problem::about(origin, &error).advise("a token travels over https; write https://")
    })?))
}

/// Reads what a token endpoint has answered once.
fn grant(client: &OAuthClient, path: &Path) -> Result<Grant, Problem> {
    let answer = read(path)?;
    let reply = Reply { status: 200, headers: &[], body: &answer };
    client.read(&reply, Timestamp::ZERO).map_err(|_| {
        let what = "this is not the answer of a token endpoint";
        Problem::new(format!("{}: {what}", path.display())).advise(
            "it is JSON: {\"access_token\": …, \"token_type\": \"Bearer\", \"refresh_token\": …, \"expires_in\": …}",
        )
    })
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
    read.map_err(|error| Problem::at(path, &error))?;
    Ok(content)
}
