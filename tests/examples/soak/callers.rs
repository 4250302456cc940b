//! Those who call the API: what they do, and how each adapter does it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use token_refresh_driver::{Error, Rules, Session};
use token_refresh_hyper::{AuthLayer, NoNewerToken};
use token_refresh_reqwest::{AuthClient, reqwest};
use token_refresh_ureq::{AuthAgent, ureq};
use tokio::{runtime::Handle, time::timeout};
use tower::{Layer as _, ServiceExt as _};

use crate::rng::Rng;

/// How long an attempt of a request may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);
/// Two attempts, and two waits for a token, with time to spare: whoever has no answer then hangs.
pub(crate) const HANG: Duration = Duration::from_secs(40);
/// One call in so many is given up early.
const HASTY: u64 = 50;

/// What callers and whoever watches them share.
pub(crate) struct Desk {
    /// The origin of the API.
    pub(crate) api: String,
    pub(crate) reports: Sender<Call>,
    pub(crate) stop: AtomicBool,
    pub(crate) active: AtomicUsize,
    pub(crate) last: AtomicU64,
}

/// A call, from its beginning to its end.
pub(crate) struct Call {
    /// Its request asks for `/<session>/<id>`.
    pub(crate) id: u64,
    pub(crate) session: usize,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Served,
    /// There is no token.
    NoToken(String),
    /// Something else went wrong.
    Failed(String),
    GivenUp,
    Hangs,
}

/// A caller's own end, counted also if it panics.
struct Active(Arc<Desk>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Desk {
    fn join(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::SeqCst);
        Active(Arc::clone(self))
    }

    fn begin(&self, session: usize) -> (u64, String, Instant) {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        (id, format!("{}/{session}/{id}", self.api), Instant::now())
    }

    fn end(&self, id: u64, session: usize, begin: Instant, outcome: Outcome) {
        // After a run that was broken off nobody listens.
        let _ = self.reports.send(Call { id, session, begin, end: Instant::now(), outcome });
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A caller that is a thread.
pub(crate) fn ureq_caller(desk: &Arc<Desk>, session: usize, of: &Session, rules: &Rules, mut rng: Rng) {
    let active = desk.join();
    let agent = |limit| {
        let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false);
        let agent = config.timeout_global(Some(limit)).build().new_agent();
        AuthAgent::new(agent, of.clone(), rules.clone())
    };
    let (patient, hasty) = (agent(ATTEMPT_LIMIT), agent(Duration::from_millis(20)));
    thread::spawn(move || {
        let desk = &active.0;
        while !desk.is_stopped() {
            thread::sleep(rng.between(20, 120));
            let in_haste = rng.below(HASTY) == 0;
            let (id, url, begin) = desk.begin(session);
            let outcome = get_with_ureq(if in_haste { &hasty } else { &patient }, &url);
            let outcome = match outcome {
                Outcome::Failed(_) | Outcome::NoToken(_) if in_haste => Outcome::GivenUp,
                _ if begin.elapsed() > HANG => Outcome::Hangs,
                outcome => outcome,
            };
            desk.end(id, session, begin, outcome);
        }
    });
}

fn get_with_ureq(agent: &AuthAgent, url: &str) -> Outcome {
    let request = match ureq::http::Request::get(url).body(()) {
        Ok(request) => request,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match agent.run(request) {
        Ok(mut response) => match response.body_mut().read_to_vec() {
            Ok(_) => answered(response.status().as_u16()),
            Err(_) => Outcome::Failed("the answer breaks off".into()),
        },
        Err(error) => failed(error.reason()),
    }
}

/// A caller that is a task, and uses reqwest.
pub(crate) fn reqwest_caller(
    runtime: &Handle,
    desk: &Arc<Desk>,
    session: usize,
    client: AuthClient,
    rng: Rng,
) {
    task(runtime, desk, session, rng, move |url| {
        let sent = client.get(url).send();
        async move {
            match sent.await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    match response.bytes().await {
                        Ok(_) => answered(status),
                        Err(_) => Outcome::Failed("the answer breaks off".into()),
                    }
                }
                Err(error) => failed(error.reason()),
            }
        }
    });
}

pub(crate) fn reqwest_client(session: Session, rules: Rules) -> reqwest::Result<AuthClient> {
    AuthClient::new(reqwest::Client::builder().no_proxy().timeout(ATTEMPT_LIMIT), session, rules)
}

/// A caller that is a task, and uses hyper's client below a tower layer.
pub(crate) fn hyper_caller(
    runtime: &Handle,
    desk: &Arc<Desk>,
    session: usize,
    client: HyperClient<HttpConnector, Full<Bytes>>,
    auth: &AuthLayer,
    rng: Rng,
) {
    let service = auth.layer(client);
    task(runtime, desk, session, rng, move |url| {
        let request = http::Request::get(url).body(Full::<Bytes>::default());
        let service = service.clone();
        async move {
            let request = match request {
                Ok(request) => request,
                Err(error) => return Outcome::Failed(error.to_string()),
            };
            match service.oneshot(request).await {
                Ok(response) => {
                    let reason = response.extensions().get().map(|NoNewerToken(reason)| *reason);
                    let status = response.status().as_u16();
                    match (reason, response.into_body().collect().await) {
                        (Some(reason), _) => failed(Some(reason)),
                        (None, Ok(_)) => answered(status),
                        (None, Err(_)) => Outcome::Failed("the answer breaks off".into()),
                    }
                }
                Err(error) => failed(error.reason()),
            }
        }
    });
}

pub(crate) fn hyper_client() -> HyperClient<HttpConnector, Full<Bytes>> {
    HyperClient::builder(TokioExecutor::new()).build_http()
}

/// Calls until it is stopped, and drops the call when it gives up.
fn task<F: Future<Output = Outcome> + Send>(
    runtime: &Handle,
    desk: &Arc<Desk>,
    session: usize,
    mut rng: Rng,
    get: impl Fn(String) -> F + Send + 'static,
) {
    let active = desk.join();
    runtime.spawn(async move {
        let desk = &active.0;
        while !desk.is_stopped() {
            tokio::time::sleep(rng.between(20, 120)).await;
            let in_haste = rng.below(HASTY) == 0;
            let patience = if in_haste { rng.between(0, 40) } else { HANG };
            let (id, url, begin) = desk.begin(session);
            let outcome = match timeout(patience, get(url)).await {
                Ok(outcome) => outcome,
                Err(_) if in_haste => Outcome::GivenUp,
                Err(_) => Outcome::Hangs,
            };
            desk.end(id, session, begin, outcome);
        }
    });
}

fn answered(status: u16) -> Outcome {
    match status {
        200 => Outcome::Served,
        status => Outcome::Failed(format!("status {status}")),
    }
}

fn failed(reason: Option<Error>) -> Outcome {
    match reason {
        Some(Error::Failed(failure)) => Outcome::NoToken(format!("no token: {:?}", failure.kind)),
        Some(_) => Outcome::NoToken("no token in time".into()),
        None => Outcome::Failed("no answer".into()),
    }
}
