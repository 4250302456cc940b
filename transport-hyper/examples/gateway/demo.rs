//! The gateway in front of the conformance kit's servers.

use std::{
    error::Error as StdError,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use token_refresh_conformance::server::{
    AuthorizationServer, Gate, Issued, Policy, ResourcePolicy, ResourceServer, Response as Scripted, Step,
    digest,
};
use token_refresh_hyper::{
    Endpoint, Grant, HyperTransport, OAuthProfile, Session, TokioRuntime,
    wire::{ClientAuth, OAuthClient},
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
};

use crate::{SETTLE, connector, proxy::Gateway, rules};

const PROGRAMS: usize = 100;
const SOON: Duration = Duration::from_secs(20);

struct Demo {
    auth: AuthorizationServer,
    api: Arc<ResourceServer>,
    session: Session,
    addr: SocketAddr,
    program: Client<HttpConnector, Full<Bytes>>,
}

/// `false`: a count is off.
pub(crate) async fn play() -> Result<bool, Box<dyn StdError>> {
    let auth = AuthorizationServer::start(Policy::default())?;
    let api = Arc::new(ResourceServer::start("api", &auth, ResourcePolicy::default())?);
    let session = Session::builder().asynchronous(
        HyperTransport::new(connector()),
        OAuthProfile::refresh_token(
            OAuthClient::new(ClientAuth::None { client_id: "gateway".into() }),
            Endpoint::https_or_loopback(&auth.url("/token"))?,
        ),
        TokioRuntime::current()?,
    )?;
    let issued = auth.issue();
    auth.expire(&issued.access_token);
    let grant =
        Grant::new(issued.access_token.as_str())?.with_refresh_token(issued.refresh_token.as_str())?;
    session.sign_in(grant);

    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let push = move |line: &str| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    let upstream = api.url("/v1").parse()?;
    let gateway = Gateway::new(session.clone(), rules(&upstream)?, &upstream, push)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(gateway.serve(listener, async { drop(stopped.await) }));

    let program = Client::builder(TokioExecutor::new()).build_http();
    let demo = Demo { auth, api, session, addr, program };
    let mut right = demo.herd().await?;
    right &= demo.streams().await?;
    right &= demo.web_pages().await?;
    right &= demo.signed_out(&issued).await?;
    right &= demo.stop(stop).await?;
    serving.await??;
    demo.session.settle_async(SETTLE).await?;

    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let showing =
        log.iter().filter(|line| line.contains("at-") || line.contains("rt-") || line.contains('?'));
    right &= count("lines of the access log that show a token or a query", 0, showing.count());
    println!("  the last of {} lines: {}", log.len(), log.last().map_or("", String::as_str));
    Ok(right)
}

impl Demo {
    async fn herd(&self) -> Result<bool, Box<dyn StdError>> {
        println!("{PROGRAMS} programs ask at once, and the token has just expired:");
        let gate = Gate::new();
        self.api.script((0..PROGRAMS).map(|_| Step::new().hold_after(&gate)));
        let asking: JoinSet<_> = (0..PROGRAMS).map(|_| self.get("/things?page=2")).collect();
        self.arrived(&gate, PROGRAMS).await?;
        gate.open();
        let answers = asking.join_all().await;
        let good = answers.iter().flatten().filter(|answer| answer.status() == StatusCode::OK).count();
        let mut right = count("answers", PROGRAMS, good);
        right &= count("requests refused by the API", PROGRAMS, self.api.answered(401));
        right &= count("refreshes", 1, self.auth.token_requests().len());
        let repeated = self.api.generations("/v1/things?page=2");
        right &= count("requests sent again", PROGRAMS, repeated.len() - PROGRAMS);
        Ok(right)
    }

    async fn streams(&self) -> Result<bool, Box<dyn StdError>> {
        println!("A program sends 4 MiB and gets as much back:");
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(4 << 20).collect();
        self.api.script([Step::new().on("/v1/upload").answer(Scripted::new(200).body(content.clone()))]);
        let request = Request::post(self.url("/upload")).body(Full::from(content.clone()))?;
        let answer = self.program.request(request).await?.into_body().collect().await?.to_bytes();
        let log = self.api.log();
        let seen = log.last().ok_or("nothing arrived")?;
        let mut right = count("bytes at the API", content.len(), seen.body_len);
        right &= count("differences there", 0, usize::from(seen.body_digest != digest(&content)));
        right &= count("bytes in the answer", content.len(), answer.len());
        right &= count("differences there", 0, usize::from(answer != content));
        Ok(right)
    }

    async fn web_pages(&self) -> Result<bool, Box<dyn StdError>> {
        println!("Web pages try it too:");
        let before = self.api.log().len();
        let page = Request::get(self.url("/things")).header("origin", "https://evil.example");
        let rebound =
            Request::get(self.url("/things")).header("host", format!("evil.example:{}", self.addr.port()));
        let mut turned_away = 0;
        for request in [page, rebound] {
            let answer = self.program.request(request.body(Full::default())?).await?;
            turned_away += usize::from(answer.status() == StatusCode::FORBIDDEN);
        }
        let right = count("turned away", 2, turned_away);
        Ok(right & count("requests at the API", 0, self.api.log().len() - before))
    }

    async fn signed_out(&self, issued: &Issued) -> Result<bool, Box<dyn StdError>> {
        println!("The authorization server ends the session:");
        let current = self.auth.current(1).ok_or("no session")?;
        self.auth.revoke_family(1);
        let answer = self.get("/things").await?;
        let mut right =
            count("refusals handed on", 1, usize::from(answer.status() == StatusCode::UNAUTHORIZED));
        let health = self.get("/healthz").await?;
        right &= count("health checks that fail", 1, usize::from(health.status() == 503));
        let report = health.into_body().collect().await?.to_bytes();
        print!("  /healthz says: {}", String::from_utf8_lossy(&report));
        let again = self.get("/things").await?.status();
        right &= count("programs told that there is no token", 1, usize::from(again == 503));
        let secrets =
            [&issued.access_token, &issued.refresh_token, &current.access_token, &current.refresh_token];
        let shown =
            secrets.into_iter().filter(|secret| String::from_utf8_lossy(&report).contains(secret.as_str()));
        right &= count("secrets shown", 0, shown.count());
        right &= count("refreshes", 2, self.auth.token_requests().len());
        Ok(right)
    }

    async fn stop(&self, stop: oneshot::Sender<()>) -> Result<bool, Box<dyn StdError>> {
        println!("Somebody signs in again, and the gateway is stopped while a request is under way:");
        let issued = self.auth.issue();
        self.session.sign_in(Grant::new(issued.access_token)?.with_refresh_token(issued.refresh_token)?);
        let gate = Gate::new();
        self.api.script([Step::new().hold_after(&gate)]);
        let asking = tokio::spawn(self.get("/slow"));
        self.arrived(&gate, 1).await?;
        // With this the gateway is told to stop.
        drop(stop);
        while tokio::net::TcpStream::connect(self.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        gate.open();
        let answer = asking.await??;
        Ok(count("answers after that", 1, usize::from(answer.status() == StatusCode::OK)))
    }

    async fn arrived(&self, gate: &Gate, requests: usize) -> Result<(), Box<dyn StdError>> {
        let gate = gate.clone();
        let arrived = spawn_blocking(move || gate.wait_arrived(requests, SOON)).await?;
        if arrived { Ok(()) } else { Err("not all requests arrived".into()) }
    }

    fn get(
        &self,
        target: &str,
    ) -> impl Future<Output = Result<Response<hyper::body::Incoming>, hyper_util::client::legacy::Error>> + use<>
    {
        let (program, url) = (self.program.clone(), self.url(target).parse::<http::Uri>());
        async move {
            let mut request = Request::new(Full::default());
            *request.uri_mut() = url.unwrap_or_default();
            program.request(request).await
        }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.addr)
    }
}

fn count(what: &str, expected: usize, counted: usize) -> bool {
    let verdict = if counted == expected { "ok" } else { "OFF" };
    println!("  {counted:>7}  {what} ({verdict}, expected {expected})");
    counted == expected
}
