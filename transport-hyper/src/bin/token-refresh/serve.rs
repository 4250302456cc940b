//! `token-refresh serve`

use std::{io::Write as _, net::SocketAddr, time::Duration};

use clap::Args;
use http::Uri;
use tokio::net::TcpListener;

use crate::{
    account::{Account, rules},
    problem::Problem,
    proxy::Gateway,
};

/// Be a local proxy that adds a fresh access token to every request
///
/// A program in any language gets refresh by changing its base URL to http://127.0.0.1:8080. Requests that the API
/// refuses for their token are sent once more with a new one; content streams both ways. GET /healthz says how the
/// session is: 200 while it is good, else 503.
///
/// Whoever can reach the proxy acts in your name. So it listens on a loopback address only, and turns web pages away.
/// It ends with Ctrl-C or SIGTERM, after the requests that are under way.
#[derive(Args)]
#[command(after_help = "\
Example:
  token-refresh serve --upstream https://api.example.com &
  curl http://127.0.0.1:8080/me")]
pub(crate) struct Options {
    /// Where requests go: https, or http on 127.0.0.1 or [::1]
    #[arg(long, value_name = "URL", env = "TOKEN_REFRESH_UPSTREAM")]
    upstream: Uri,
    #[command(flatten)]
    account: Account,
    /// Where to listen: a loopback address and a port, 0 for any
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = loopback)]
    listen: SocketAddr,
}

/// How long a request waits for a token, and how long a refresh under way is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(20);

impl Options {
    pub(crate) async fn run(self) -> Result<(), Problem> {
        let rules = rules(&self.upstream)?;
        let session = self.account.session(PATIENCE).await?;
        let at = |error: &_| Problem::about(self.listen, error);
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            at(&error).advise("choose another port with --listen, or 127.0.0.1:0 for any that is free")
        })?;
        let address = listener.local_addr().map_err(|error| at(&error))?;
        log(&format!("http://{address} until Ctrl-C"));
        let gateway = Gateway::new(session.clone(), rules, &self.upstream, log);
        gateway?.serve(listener, stopped()).await.map_err(|error| at(&error))?;
        // A new token that is on its way is worth waiting for.
        self.account.settle(&session, PATIENCE).await
    }
}

/// Requests are served also when nobody reads about them any more.
fn log(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

fn loopback(text: &str) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr = text.parse().map_err(|_| "this is not an address and a port")?;
    if address.ip().is_loopback() { Ok(address) } else { Err("this is not a loopback address") }
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
