//! `token-refresh serve`: programs that know nothing of tokens, and what they get.

use std::{process::Command, time::Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use token_refresh_conformance::server::{Gate, Response as Scripted, Step, digest};
use tokio::task::{JoinSet, block_in_place};

use crate::world::{Running, SOON, World};

struct Served {
    world: World,
    proxy: Running,
    address: String,
    program: Client<HttpConnector, Full<Bytes>>,
}

impl Served {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.sign_in();
        let upstream = world.api.url("/v1");
        let command = world.program(&["serve", "--listen", "127.0.0.1:0", "--upstream", &upstream]);
        let mut proxy = Running::start(command);
        let address = proxy.hear("http://").split(' ').next().unwrap().to_owned();
        let program = Client::builder(TokioExecutor::new()).build_http();
        Self { world, proxy, address, program }
    }

    fn expire(&self) {
        let current = self.world.auth.current(1).unwrap();
        self.world.auth.expire(&current.access_token);
    }

    fn get(&self, target: &str) -> impl Future<Output = Response<Incoming>> + use<> {
        let request = Request::get(format!("{}{target}", self.address)).body(Full::default()).unwrap();
        let asking = self.program.request(request);
        async { asking.await.unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_refreshes_once_for_a_hundred_programs() {
    const PROGRAMS: usize = 100;
    let served = Served::new("herd");
    served.expire();
    let gate = Gate::new();
    served.world.api.script((0..PROGRAMS).map(|_| Step::new().hold_after(&gate)));
    let asking: JoinSet<_> = (0..PROGRAMS).map(|_| served.get("/things?page=2")).collect();
    assert!(block_in_place(|| gate.wait_arrived(PROGRAMS, SOON)));
    gate.open();
    let answers = asking.join_all().await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(served.world.api.answered(401), PROGRAMS);
    assert_eq!(served.world.auth.token_requests().len(), 1);
    assert_eq!(served.world.api.generations("/v1/things?page=2").len(), 2 * PROGRAMS);
}

#[tokio::test]
async fn serve_streams_both_ways() {
    let served = Served::new("streams");
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(4 << 20).collect();
    let answer = Scripted::new(200).body(content.clone());
    served.world.api.script([Step::new().on("/v1/upload").answer(answer)]);
    let request = Request::post(format!("{}/upload", served.address)).body(Full::from(content.clone()));
    let answer = served.program.request(request.unwrap()).await.unwrap();
    let answer = answer.into_body().collect().await.unwrap().to_bytes();
    let seen = served.world.api.log().pop().unwrap();
    assert_eq!((seen.body_len, seen.body_digest), (content.len(), digest(&content)));
    assert!(answer == content);
}

#[tokio::test]
async fn serve_turns_web_pages_away() {
    let served = Served::new("pages");
    let things = format!("{}/things", served.address);
    let port = served.address.rsplit(':').next().unwrap();
    let page = Request::get(&things).header("origin", "https://evil.example");
    let rebound = Request::get(&things).header("host", format!("evil.example:{port}"));
    for request in [page, rebound] {
        let answer = served.program.request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(served.world.api.log().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_that_somebody_has_to_sign_in_and_notices_when_they_have() {
    let mut served = Served::new("ended");
    let current = served.world.auth.current(1).unwrap();
    served.world.auth.revoke_family(1);
    assert_eq!(served.get("/things?secret=1").await.status(), StatusCode::UNAUTHORIZED);
    let health = served.get("/healthz").await;
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    let report = health.into_body().collect().await.unwrap().to_bytes();
    let report = String::from_utf8(report.into()).unwrap();
    assert!(report.contains("refused the refresh token"), "{report}");
    assert!(!report.contains(&current.access_token) && !report.contains(&current.refresh_token));
    assert_eq!(served.get("/things").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(served.world.auth.token_requests().len(), 1);

    // By another process, through the file.
    block_in_place(|| served.world.sign_in());
    // A session that has failed looks at the file at most once a second.
    let until = Instant::now() + SOON;
    while served.get("/things").await.status() != StatusCode::OK {
        assert!(Instant::now() < until);
    }
    served.proxy.hear("GET /things → 200");
    let log = &served.proxy.heard;
    let showing = log.iter().filter(|line| ["at-", "rt-", "?"].iter().any(|secret| line.contains(secret)));
    assert_eq!(showing.count(), 0, "{log:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn serve_ends_after_what_is_under_way() {
    let mut served = Served::new("stop");
    let gate = Gate::new();
    served.world.api.script([Step::new().hold_after(&gate)]);
    let asking = tokio::spawn(served.get("/slow"));
    assert!(block_in_place(|| gate.wait_arrived(1, SOON)));
    let id = served.proxy.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let address = served.address.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(asking.await.unwrap().status(), StatusCode::OK);
    // So that no connection of ours keeps it.
    served.program = Client::builder(TokioExecutor::new()).build_http();
    served.proxy.hear_out();
    assert!(served.proxy.child.wait().unwrap().success());
}
