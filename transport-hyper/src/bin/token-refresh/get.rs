//! `token-refresh get`

use std::{
    io::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use token_refresh_hyper::{AuthLayer, Error, NoNewerToken, Session};
use tokio::time::timeout;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    account::{Account, connector, rules},
    problem::Problem,
};

/// Print an access token, or fetch a URL with it
///
/// Without a URL, the token goes to stdout: one that is still good, or a new one. With a URL, the content of the answer
/// goes to stdout and its status to stderr; if the API refuses the token, it is refreshed and the request is sent once
/// more. The token goes to that URL's origin only, and no redirect is followed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  token-refresh get --sign-in answer.json      begin with these tokens
  TOKEN=$(token-refresh get) || exit           in a script; exit code 3: sign in again
  token-refresh get https://api.example.com/me")]
pub(crate) struct Options {
    /// What to fetch: https, or http on 127.0.0.1 or [::1]
    url: Option<Uri>,
    #[command(flatten)]
    account: Account,
    /// How long to wait for the token, and for the head of the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

impl Options {
    pub(crate) async fn run(self) -> Result<(), Problem> {
        let limit = Duration::from_secs(self.timeout);
        let session = self.account.session(limit).await?;
        let done = match &self.url {
            None => print_token(&session).await,
            Some(url) => fetch(&session, url, limit).await,
        };
        // Whatever came of it: if a new token is on its way, wait until it is in the file.
        let settled = self.account.settle(&session, limit).await;
        done.and(settled)
    }
}

async fn print_token(session: &Session) -> Result<(), Problem> {
    let token = session.token_async().await.map_err(Problem::no_token)?;
    Ok(writeln!(io::stdout(), "{}", token.secret().expose())?)
}

async fn fetch(session: &Session, url: &Uri, limit: Duration) -> Result<(), Problem> {
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector());
    let api = AuthLayer::new(session.clone(), rules(url)?).layer(client);
    let mut request = Request::new(Full::default());
    *request.uri_mut() = url.clone();
    let host = url.host().unwrap_or_default();
    let answer = timeout(limit, api.oneshot(request)).await;
    let answer =
        answer.map_err(|_| Problem::new(format!("{host} takes longer than {} s", limit.as_secs())))?;
    let answer = answer.map_err(|error| match error {
        Error::NoToken(reason) => Problem::no_token(reason),
        Error::Service(error) => Problem::about(host, &error),
    })?;

    let (head, mut content) = answer.into_parts();
    anstream::eprintln!("{:?} {}", head.version, head.status);
    let mut stdout = io::stdout().lock();
    while let Some(frame) = content.frame().await {
        let frame = frame.map_err(|error| Problem::about(host, &error))?;
        if let Some(data) = frame.data_ref() {
            stdout.write_all(data)?;
        }
    }
    stdout.flush()?;
    if let Some(NoNewerToken(reason)) = head.extensions.get() {
        return Err(Problem::no_token(*reason));
    }
    let failed = head.status.is_client_error() || head.status.is_server_error();
    if failed { Err(Problem::new(format!("{host} answered {}", head.status))) } else { Ok(()) }
}
