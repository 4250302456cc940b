//! What a session counts, in the text that Prometheus reads: twenty threads with an expired token, a late refusal and a
//! lost answer, against real servers on 127.0.0.1.
//!
//! `cargo run -p token-refresh-ureq --features metrics --example prometheus`
//!
//! A service answers `GET /metrics` with such a text.

use std::{error::Error, thread, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use token_refresh_conformance::server::{
    AuthorizationServer, Cut, Policy, ResourcePolicy, ResourceServer, Reuse, Step,
};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Endpoint, Grant, OAuthProfile, Rules, Session, UreqTransport,
    wire::{ClientAuth, OAuthClient},
};
use ureq::http::Request;

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", scrape()?);
    Ok(())
}

/// Plays it, and shows the counters.
pub(crate) fn scrape() -> Result<String, Box<dyn Error>> {
    let metrics = PrometheusBuilder::new().install_recorder()?;

    let auth = AuthorizationServer::start(Policy { reuse: Reuse::UntilUsed, ..Policy::default() })?;
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let issued = auth.issue();
    auth.expire(&issued.access_token);

    let client = OAuthClient::new(ClientAuth::None { client_id: "demo".into() });
    let profile = OAuthProfile::refresh_token(client, Endpoint::https_or_loopback(&auth.url("/token"))?);
    let session = Session::builder().name("demo").blocking(UreqTransport::new(), profile)?;
    session.sign_in(Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?);
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url(""))?);
    let agent = AuthAgent::new(ureq::agent(), session.clone(), rules);
    let get = || agent.run(Request::get(api.url("/things")).body(()).map_err(ureq::Error::from)?);

    let expired = session.token()?.id();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..20).map(|_| scope.spawn(|| get().is_ok())).collect();
        callers.into_iter().all(|caller| caller.join().unwrap_or_default())
    });
    session.reject(expired)?;

    if let Some(current) = auth.current(1) {
        auth.expire(&current.access_token);
    }
    auth.script([Step::new().cut(Cut::AfterProcessing)]);
    get()?;

    session.settle(Duration::from_secs(10))?;
    Ok(metrics.render())
}
