//! Chains of redirects: where the token goes, and where it never goes again (SEC-03, Q6).

use futures_util::stream;
use token_refresh_conformance::server::{Challenge, ResourcePolicy, ResourceServer, Response, Seen, Step};
use token_refresh_reqwest::{
    Content, Replay,
    reqwest::{Body, Method, header::AUTHORIZATION},
};

use crate::support::World;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// A step of a chain.
fn to(status: u16, url: &str) -> Step {
    Step::new().answer(Response::new(status).header("Location", url))
}

fn elsewhere(world: &World) -> ResourceServer {
    ResourceServer::start("else", &world.auth, ResourcePolicy::default()).unwrap()
}

fn with_credentials(server: &ResourceServer) -> Vec<bool> {
    let credentials = |seen: &Seen| ["authorization", "cookie"].map(|name| seen.headers.get(name).is_some());
    server.log().iter().map(|seen| credentials(seen) != [false, false]).collect()
}

/// reqwest itself takes credentials off for the first foreign hop only.
#[tokio::test]
async fn sec_03_a_foreign_host_that_redirects_to_itself_gets_nothing() {
    for status in STATUSES {
        let world = World::expired();
        let elsewhere = elsewhere(&world);
        world.refresh().await;
        for own in [false, true] {
            world.api.script([to(status, &elsewhere.url("/1"))]);
            elsewhere.script([to(status, &elsewhere.url("/2")), to(status, "/3")]);
            let request =
                world.client.get(world.api.url("/a")).with(|request| request.header("cookie", "a=b"));
            let request = if own { request.with(|request| request.bearer_auth("own")) } else { request };
            assert_eq!(request.send().await.unwrap().status(), 401);
        }
        assert_eq!(with_credentials(&world.api), [true, true], "redirected by {status}");
        assert_eq!(with_credentials(&elsewhere), [false; 6], "redirected by {status}");
        assert_eq!(world.refreshes(), 1);
    }
}

/// There, back, and on: whoever was led astray once stays without.
#[tokio::test]
async fn sec_03_the_token_is_not_put_on_again_after_a_return() {
    for status in STATUSES {
        let world = World::expired();
        let elsewhere = elsewhere(&world);
        world.refresh().await;
        world.api.script([to(status, &elsewhere.url("/b")), to(status, "/d")]);
        elsewhere.script([to(status, &world.api.url("/c"))]);

        let response = world.client.get(world.api.url("/a")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().path()), (401, "/d"));
        assert_eq!(with_credentials(&world.api), [true, false, false], "redirected by {status}");
        assert_eq!(world.refreshes(), 1);
    }
}

/// Another name of the same host and port is another origin.
#[tokio::test]
async fn sec_03_hosts_are_compared_and_not_addresses() {
    let world = World::expired();
    world.refresh().await;
    let url = format!("http://localhost:{}/b", world.api.addr().port());
    world.api.script([to(302, &url)]);
    assert_eq!(world.client.get(world.api.url("/a")).send().await.unwrap().status(), 401);
    assert_eq!(with_credentials(&world.api), [true, false]);
    assert_eq!(world.refreshes(), 1);
}

/// Within its origin the token stays on, and a refusal at the end of the chain is one. The repetition begins where the
/// request began (RPLY-05).
#[tokio::test]
async fn chal_02_a_refusal_behind_a_redirect_within_the_origin_counts() {
    for status in STATUSES {
        for challenge in [Challenge::InvalidToken, Challenge::Bare] {
            let world = World::expired();
            world.api.change(|policy| policy.challenge = challenge);
            world.api.script([to(status, "/b"), Step::new(), to(status, "b")]);

            let response = world.client.get(world.api.url("/a")).send().await.unwrap();
            assert_eq!((response.status().as_u16(), response.url().path()), (200, "/b"));
            assert_eq!(world.api.generations("/a"), [Some(0), Some(1)], "redirected by {status}");
            assert_eq!(world.api.generations("/b"), [Some(0), Some(1)]);
            assert_eq!(world.refreshes(), 1);
        }
    }
}

/// The redirect says that the server has acted on the POST and where to read about it. The refusal there refreshes the
/// token, and does not order twice.
#[tokio::test]
async fn rply_04_what_was_acted_on_is_not_sent_again() {
    for (status, attempts) in [(301, 1), (302, 1), (303, 1), (307, 2), (308, 2)] {
        let world = World::expired();
        world.api.script([to(status, "/done"), Step::new(), to(status, "/done")]);
        let order = world.client.post(world.api.url("/orders")).with(|request| request.body("one"));

        let expected = if attempts == 1 { 401 } else { 200 };
        assert_eq!(order.send().await.unwrap().status(), expected, "redirected by {status}");
        assert_eq!(world.api.generations("/orders").len(), attempts, "redirected by {status}");
        assert_eq!(world.refreshes(), 1);
    }
}

/// RFC 9110 §15.4: what the second request of a chain is, by status and by method of the first one.
#[tokio::test]
async fn methods_and_content_follow_the_status() {
    let world = World::expired();
    world.refresh().await;
    for (status, method, expected) in [
        (301, Method::POST, ("GET", 0)),
        (302, Method::POST, ("GET", 0)),
        (303, Method::POST, ("GET", 0)),
        (307, Method::POST, ("POST", 4)),
        (308, Method::POST, ("POST", 4)),
        (301, Method::PUT, ("PUT", 4)),
        (302, Method::PUT, ("PUT", 4)),
        (303, Method::PUT, ("GET", 0)),
        (307, Method::PUT, ("PUT", 4)),
        (303, Method::HEAD, ("HEAD", 0)),
    ] {
        world.api.script([to(status, "/next")]);
        let request = world.client.request(method.clone(), world.api.url("/a"));
        let request = request.with(|request| request.header("content-type", "text/x").body("text"));
        request.send().await.unwrap();
        let log = world.api.log();
        let seen = log.last().unwrap();
        assert_eq!((seen.method.as_str(), seen.body_len), expected, "{method} {status}");
        let announced = ["content-type", "content-length"].map(|name| seen.headers.get(name));
        let kept = [Some("text/x"), Some("4")];
        assert_eq!(announced, if expected.1 == 4 { kept } else { [None; 2] }, "{method} {status}");
    }
}

/// Content that is gone cannot go on: the redirect is the answer, as in reqwest. Content that is made anew can.
#[tokio::test]
async fn a_stream_follows_no_redirect_that_wants_it_again() {
    let world = World::expired();
    world.refresh().await;
    let stream = || Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("some"), Ok(" text")]));
    let request = || world.client.put(world.api.url("/a"));

    for (status, answer) in [(307, 307), (302, 302), (303, 200)] {
        world.api.script([to(status, "/b")]);
        let sent = request().with(|request| request.body(stream())).send().await.unwrap();
        assert_eq!(sent.status(), answer);

        world.api.script([to(status, "/b")]);
        let sent = request().extension(Content::new(stream)).send().await.unwrap();
        assert_eq!(sent.status(), 200, "redirected by {status}");
    }
}

#[tokio::test]
async fn an_endless_chain_ends() {
    let world = World::expired();
    world.refresh().await;
    for (limit, client) in [(10, world.client.clone()), (2, world.client.clone().max_redirects(2))] {
        let before = world.api.log().len();
        world.api.script((0..=limit).map(|_| to(302, "/a")));
        assert_eq!(client.get(world.api.url("/a")).send().await.unwrap().status(), 302);
        assert_eq!(world.api.log().len() - before, limit + 1);
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_the_answer() {
    let world = World::expired();
    world.refresh().await;
    for location in ["ftp://127.0.0.1/a", "http://", "javascript:alert(1)"] {
        world.api.script([to(302, location)]);
        let response = world.client.get(world.api.url("/a")).send().await.unwrap();
        assert_eq!(response.status(), 302, "{location}");
    }
    world.api.script([Step::new().answer(Response::new(304)), Step::new().answer(Response::new(302))]);
    for status in [304, 302] {
        assert_eq!(world.client.get(world.api.url("/a")).send().await.unwrap().status(), status);
    }
}

/// The caller's own credentials take the same way, and so does a request that is to carry none.
#[tokio::test]
async fn auth_04_requests_without_the_token_follow_redirects_too() {
    let world = World::expired();
    world.refresh().await;
    let token = world.session().token_async().await.unwrap();
    world.api.script([to(307, "/b")]);
    let own =
        world.client.get(world.api.url("/a")).with(|request| request.header(AUTHORIZATION, token.header()));
    assert_eq!(own.extension(Replay::Never).send().await.unwrap().status(), 200);
    assert_eq!(world.api.generations("/b"), [Some(1)]);
}
