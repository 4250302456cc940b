//! In a reqwest-middleware stack.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use reqwest_middleware::{Middleware, Next};
use token_refresh_conformance::server::{Response, Step};
use token_refresh_reqwest::{
    Cause, Content, Error, Replay,
    reqwest::{self, Request, ResponseBuilderExt as _, header::AUTHORIZATION},
};

use crate::support::World;

/// Counts what passes by, with a token on it.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl Middleware for Counter {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0.fetch_add(usize::from(request.headers().contains_key(AUTHORIZATION)), SeqCst);
        next.run(request, extensions).await
    }
}

/// Refuses to work.
struct Broken;

#[async_trait]
impl Middleware for Broken {
    async fn handle(
        &self,
        _: Request,
        _: &mut http::Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(std::io::Error::other("broken")))
    }
}

/// Answers https in place of a server, with a refusal; and remembers who had a token.
#[derive(Clone, Default)]
struct OverTls(Arc<Mutex<Vec<(String, bool)>>>);

#[async_trait]
impl Middleware for OverTls {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let (url, token) = (request.url().clone(), request.headers().contains_key(AUTHORIZATION));
        self.0.lock().unwrap().push((url.scheme().to_owned(), token));
        if url.scheme() == "http" {
            return next.run(request, extensions).await;
        }
        let refusal = http::Response::builder().status(401).url(url).body("").unwrap();
        Ok(refusal.into())
    }
}

/// Host and port are the same, and still it is another origin.
#[tokio::test]
async fn sec_03_schemes_are_compared() {
    let world = World::expired();
    world.refresh().await;
    let hops = OverTls::default();
    let client = world.client.middleware().with(hops.clone()).build();
    let location = format!("https://{}/b", world.api.addr());
    world.api.script([Step::new().answer(Response::new(302).header("Location", &location))]);
    assert_eq!(client.get(world.api.url("/a")).send().await.unwrap().status(), 401);
    assert_eq!(*hops.0.lock().unwrap(), [("http".to_owned(), true), ("https".to_owned(), false)]);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn inner_layers_see_every_attempt_and_every_hop() {
    let world = World::expired();
    let counter = Counter::default();
    let client = world.client.middleware().with(counter.clone()).build();
    let redirect = || Step::new().answer(Response::new(307).header("Location", "/b"));
    world.api.script([redirect(), Step::new(), redirect()]);
    assert_eq!(client.post(world.api.url("/a")).body("text").send().await.unwrap().status(), 200);
    assert_eq!((counter.0.load(SeqCst), world.api.log().len()), (4, 4));
}

#[tokio::test]
async fn rply_04_extensions_are_those_of_the_stack() {
    let world = World::expired();
    let client = world.client.middleware().build();
    let request = client.get(world.api.url("/a")).with_extension(Replay::Never);
    assert_eq!(request.send().await.unwrap().status(), 401);
    assert_eq!(world.api.log().len(), 1);

    let request = client.put(world.api.url("/a")).with_extension(Content::new(|| "made"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(world.api.log()[1].body, b"made");
}

#[tokio::test]
async fn rply_08_an_error_of_the_stack_still_holds_the_refusal() {
    let world = World::expired();
    world.auth.revoke_family(1);
    let error = world.client.middleware().build().get(world.api.url("/a")).send().await.unwrap_err();
    assert!(error.is_middleware());

    let error = Error::try_from(error).unwrap();
    assert_eq!(error.cause(), Some(Cause::NeedsSignIn));
    assert_eq!(error.into_response().unwrap().text().await.unwrap(), r#"{"message":"unauthorized"}"#);
}

#[tokio::test]
async fn errors_of_others_are_left_alone() {
    let world = World::expired();
    let error =
        world.client.middleware().with(Broken).build().get(world.api.url("/a")).send().await.unwrap_err();
    let error = Error::try_from(error).unwrap_err();
    assert!(error.to_string().contains("broken"));
}
