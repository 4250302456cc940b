//! What people write themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use reqwest::{Client, Method, Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::sync::{Mutex, RwLock};

use crate::peer::{Peer, Source};

const MARGIN: Duration = Duration::from_secs(60);

/// A lock for reading, and another look under the lock for refreshing.
pub(crate) struct DoubleCheck {
    source: Arc<Source>,
    token: RwLock<Option<(String, Instant)>>,
    refresh: Mutex<()>,
}

impl DoubleCheck {
    fn new(source: Arc<Source>) -> Self {
        Self { source, token: RwLock::default(), refresh: Mutex::default() }
    }

    async fn fresh(&self) -> Option<String> {
        let token = self.token.read().await;
        let (token, end) = token.as_ref()?;
        (Instant::now() + MARGIN < *end).then(|| token.clone())
    }

    async fn header(&self) -> HeaderValue {
        let token = match self.fresh().await {
            Some(token) => token,
            None => {
                let _one = self.refresh.lock().await;
                match self.fresh().await {
                    Some(token) => token,
                    None => {
                        let token = self.source.token().await.to_owned();
                        let end = Instant::now() + Duration::from_secs(3_600);
                        *self.token.write().await = Some((token.clone(), end));
                        token
                    }
                }
            }
        };
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).expect("ASCII");
        header.set_sensitive(true);
        header
    }
}

impl Peer for DoubleCheck {
    const NAME: &'static str = "tokio mutex with double check, by hand";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        Self::new(source)
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        request.insert(AUTHORIZATION, self.header().await);
    }
}

/// One without the token, to be subtracted.
pub(crate) struct NothingButMiddleware(Stack);

/// With it.
pub(crate) struct InMiddleware(Stack);

struct Stack {
    client: ClientWithMiddleware,
    url: Url,
}

impl Stack {
    fn new(source: Option<Arc<Source>>) -> Self {
        let mut stack = ClientBuilder::new(Client::new());
        if let Some(source) = source {
            stack = stack.with(Authorize(DoubleCheck::new(source)));
        }
        let url = "https://api.example.com/".parse().expect("a URL");
        Self { client: stack.with(Answer).build(), url }
    }

    async fn send(&self) {
        let request = Request::new(Method::GET, self.url.clone());
        self.client.execute(request).await.expect("an answer");
    }
}

struct Authorize(DoubleCheck);

#[async_trait]
impl Middleware for Authorize {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let header = self.0.header().await;
        request.headers_mut().insert(AUTHORIZATION, header);
        next.run(request, extensions).await
    }
}

/// Instead of the network.
struct Answer;

#[async_trait]
impl Middleware for Answer {
    async fn handle(
        &self,
        _: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        Ok(http::Response::new("").into())
    }
}

impl Peer for NothingButMiddleware {
    const NAME: &'static str =
        "reqwest-middleware, a request without a token, to be subtracted from the next";
    const NO_HERD: &'static str = "has no token";
    type Request = ();

    async fn new(_: Arc<Source>) -> Self {
        Self(Stack::new(None))
    }

    fn request(&self) {}

    async fn authorize(&self, (): &mut ()) {
        self.0.send().await;
    }
}

impl Peer for InMiddleware {
    const NAME: &'static str = "reqwest-middleware with that mutex, the whole request";
    type Request = ();

    async fn new(source: Arc<Source>) -> Self {
        Self(Stack::new(Some(source)))
    }

    fn request(&self) {}

    async fn authorize(&self, (): &mut ()) {
        self.0.send().await;
    }
}
