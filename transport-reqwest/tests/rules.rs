//! The rules of every adapter, over real sockets: through each way to use this one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::LazyLock;

use futures_util::stream;
use token_refresh_conformance::adapter::{self, Answer, Client, Problem, Setup, Spec};
use token_refresh_reqwest::{
    AuthClient, Error, Replay, ReqwestTransport, SendWith as _, Session, TokioRuntime, WithoutToken,
    reqwest::{self, Body, ClientBuilder, Method, Request, RequestBuilder, Response, Url, redirect},
};
use tokio::runtime::Runtime;
use tower_service::Service as _;

mod client {
    token_refresh_conformance::adapter_rules!(super::ThroughClient);
    token_refresh_conformance::adapter_rules!(super::ThroughClient: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

mod send_with {
    token_refresh_conformance::adapter_rules!(super::ThroughSendWith);
    token_refresh_conformance::adapter_rules!(super::ThroughSendWith: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

mod tower {
    token_refresh_conformance::adapter_rules!(super::ThroughTower);
    token_refresh_conformance::adapter_rules!(super::ThroughTower: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

#[cfg(feature = "middleware")]
mod middleware {
    token_refresh_conformance::adapter_rules!(super::ThroughMiddleware);
    token_refresh_conformance::adapter_rules!(super::ThroughMiddleware: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

struct ThroughClient(AuthClient);

impl Client for ThroughClient {
    fn new(setup: &Setup) -> Self {
        Self(api(setup))
    }

    fn session(&self) -> &Session {
        self.0.session()
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        look_at(spec)?;
        let request = self.0.request(method(spec), &spec.url).with(|request| filled(request, spec));
        let request = request.extension(replay(spec));
        let request = if spec.without_token { request.extension(WithoutToken) } else { request };
        outcome(request.send())
    }
}

struct ThroughSendWith(AuthClient, reqwest::Client);

impl Client for ThroughSendWith {
    fn new(setup: &Setup) -> Self {
        Self(api(setup), reqwest::Client::new())
    }

    fn session(&self) -> &Session {
        self.0.session()
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec, &self.1)?;
        outcome(RequestBuilder::from_parts(self.1.clone(), request).send_with(&self.0))
    }
}

struct ThroughTower(AuthClient);

impl Client for ThroughTower {
    fn new(setup: &Setup) -> Self {
        Self(api(setup))
    }

    fn session(&self) -> &Session {
        self.0.session()
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec, &reqwest::Client::new())?;
        outcome(self.0.clone().call(request))
    }
}

#[cfg(feature = "middleware")]
struct ThroughMiddleware(reqwest_middleware::ClientWithMiddleware, Session);

#[cfg(feature = "middleware")]
impl Client for ThroughMiddleware {
    fn new(setup: &Setup) -> Self {
        let client = api(setup);
        let session = client.session().clone();
        Self(client.middleware().build(), session)
    }

    fn session(&self) -> &Session {
        &self.1
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec, &reqwest::Client::new())?;
        outcome(async { self.0.execute(request).await.map_err(|error| Error::try_from(error).unwrap()) })
    }
}

/// Of all that can be set, what is most dangerous for a token.
fn api(setup: &Setup) -> AuthClient {
    let builder = ClientBuilder::new().no_proxy().redirect(redirect::Policy::limited(20));
    AuthClient::new(builder, session(setup), setup.rules()).unwrap()
}

fn session(setup: &Setup) -> Session {
    let runtime = TokioRuntime::new(RUNTIME.handle().clone());
    let transport = ReqwestTransport::new().unwrap();
    let session = setup.session().asynchronous(transport, setup.profile(), runtime).unwrap();
    session.sign_in(setup.grant());
    session
}

fn request(spec: &Spec, client: &reqwest::Client) -> Result<Request, Problem> {
    look_at(spec)?;
    let fails = |error: reqwest::Error| RUNTIME.block_on(problem(error.into()));
    let request = filled(client.request(method(spec), &spec.url), spec).build().map_err(fails)?;
    let mut request = http::Request::<Body>::try_from(request).map_err(fails)?;
    request.extensions_mut().insert(replay(spec));
    if spec.without_token {
        request.extensions_mut().insert(WithoutToken);
    }
    request.try_into().map_err(fails)
}

/// reqwest takes `127.1`, `2130706433` and `127.0.0.1.` for `127.0.0.1` before anybody sees them. Then they are the
/// allowed origin, and no look-alikes.
fn look_at(spec: &Spec) -> Result<(), Problem> {
    let as_written = |url: Url| url.host_str().is_none_or(|host| spec.url.contains(&format!("{host}:")));
    if Url::parse(&spec.url).is_ok_and(as_written) {
        return Ok(());
    }
    Err(Problem { refusal: None, cause: None, retry_at: None, text: "an address in disguise".to_owned() })
}

fn filled(request: RequestBuilder, spec: &Spec) -> RequestBuilder {
    let request = spec.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    match &spec.content {
        adapter::Content::None => request,
        adapter::Content::Bytes(bytes) => request.body(bytes.clone()),
        adapter::Content::Stream(bytes) => {
            let pieces: Vec<_> =
                bytes.chunks(50_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            request.body(Body::wrap_stream(stream::iter(pieces)))
        }
    }
}

fn method(spec: &Spec) -> Method {
    spec.method.parse().unwrap()
}

fn replay(spec: &Spec) -> Replay {
    match spec.replay {
        adapter::Replay::Never => Replay::Never,
        adapter::Replay::Default => Replay::default(),
        adapter::Replay::Always => Replay::Always,
    }
}

fn outcome(response: impl Future<Output = Result<Response, Error>>) -> Result<Answer, Problem> {
    RUNTIME.block_on(async {
        match response.await {
            Ok(response) => Ok(read(response).await),
            Err(error) => Err(problem(error).await),
        }
    })
}

async fn read(response: Response) -> Answer {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let (status, step_up) = (response.status().as_u16(), response.extensions().get().cloned());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec(), step_up }
}

async fn problem(error: Error) -> Problem {
    let (cause, retry_at, text) = (error.cause(), error.retry_at(), Problem::text_of(&error));
    let refusal = match error.into_response() {
        Some(response) => Some(Box::new(read(response).await)),
        None => None,
    };
    Problem { refusal, cause, retry_at, text }
}
