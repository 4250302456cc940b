//! The rules that every adapter keeps, against three clients: hyper-util's with a redirect layer, the same under a stack
//! of tower layers with content that must be captured, and single connections.
#![allow(clippy::unwrap_used)]

mod support;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::client::conn::http1;
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use support::{Content, runtime};
use token_refresh_conformance::adapter::{self, Answer, Client, Problem, Setup, Spec};
use token_refresh_hyper::{
    AuthLayer, Capture, Error, HyperRuntime, HyperTransport, NoNewerToken, Replay, ServiceTransport, Session,
    TokioRuntime, WithoutToken, driver, origin_form,
};
use tokio::net::TcpStream;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};
use tower_http::follow_redirect::FollowRedirectLayer;

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// The request, with its content made by `body`; `None` if it cannot be written down.
fn request<B>(spec: &Spec, body: impl FnOnce(Content) -> B) -> Result<Request<B>, Problem> {
    let content = match spec.content.clone() {
        adapter::Content::None => Content::default(),
        adapter::Content::Bytes(bytes) => Content::Bytes(bytes.into()),
        adapter::Content::Stream(bytes) => Content::stream(bytes.chunks(10_000).map(<[u8]>::to_vec)),
    };
    let mut request = Request::builder().method(spec.method).uri(&spec.url);
    for (name, value) in &spec.headers {
        request = request.header(*name, value);
    }
    let mut request = request.body(body(content)).map_err(|error| problem(None, &error))?;
    match spec.replay {
        adapter::Replay::Never => drop(request.extensions_mut().insert(Replay::Never)),
        adapter::Replay::Default => {}
        adapter::Replay::Always => drop(request.extensions_mut().insert(Replay::Always)),
    }
    if spec.without_token {
        request.extensions_mut().insert(WithoutToken);
    }
    Ok(request)
}

/// `reason` is why there is no token, if that is the problem.
fn problem(reason: Option<driver::Error>, error: &(dyn StdError + 'static)) -> Problem {
    let cause = reason.map(|reason| reason.cause());
    let retry_at = reason.and_then(|reason| reason.retry_at());
    Problem { refusal: None, cause, retry_at, text: Problem::text_of(error) }
}

async fn answer<R, E>(response: Result<Response<R>, Error<E>>) -> Result<Answer, Problem>
where
    R: Body<Error: StdError + 'static>,
    E: StdError + 'static,
{
    let (parts, body) = response.map_err(|error| problem(error.reason(), &error))?.into_parts();
    let body = body.collect().await.map_err(|error| problem(None, &error))?.to_bytes().to_vec();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let step_up = parts.extensions.get().cloned();
    let answer = Answer { status: parts.status.as_u16(), headers, body, step_up };
    match parts.extensions.get() {
        Some(NoNewerToken(reason)) => {
            Err(Problem { refusal: Some(Box::new(answer)), ..problem(Some(*reason), reason) })
        }
        None => Ok(answer),
    }
}

/// As most programs will have it.
struct Plain {
    session: Session,
    service: BoxCloneSyncService<Request<Content>, Response<Answered>, Error<LegacyError>>,
}

type Answered = token_refresh_hyper::ResponseBody<hyper::body::Incoming>;
type LegacyError = hyper_util::client::legacy::Error;

impl Client for Plain {
    fn new(setup: &Setup) -> Self {
        let _runtime = runtime().enter();
        let session = setup
            .session()
            .asynchronous(
                HyperTransport::new(HttpConnector::new()),
                setup.profile(),
                TokioRuntime::current().unwrap(),
            )
            .unwrap();
        session.sign_in(setup.grant());
        let auth = AuthLayer::new(session.clone(), setup.rules()).clone_body(Content::try_clone);
        let guard = auth.guard();
        let service = ServiceBuilder::new()
            .layer(auth)
            .layer(FollowRedirectLayer::new())
            .layer(guard)
            .service(HyperClient::builder(TokioExecutor::new()).build_http());
        Self { session, service: BoxCloneSyncService::new(service) }
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec, |content| content)?;
        runtime().block_on(async { answer(self.service.clone().oneshot(request).await).await })
    }
}

/// Takes tasks from outside the runtime too: a test signs in and out on a thread of its own.
struct Anywhere;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Anywhere {
    fn execute(&self, task: F) {
        drop(runtime().spawn(task));
    }
}

/// Content that is boxed, token requests through a service, tasks through `hyper::rt`, and a stack that queues.
struct Stacked {
    session: Session,
    service:
        BoxCloneSyncService<Request<BoxBody>, Response<Answered>, Error<Arc<dyn StdError + Send + Sync>>>,
}

impl Client for Stacked {
    fn new(setup: &Setup) -> Self {
        let _runtime = runtime().enter();
        let client = HyperClient::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        let transport = ServiceTransport::new(client).not_sent_if(LegacyError::is_connect);
        let transport: ServiceTransport<_, http_body_util::Full<Bytes>, _> = transport;
        let session = setup
            .session()
            .asynchronous(transport, setup.profile(), HyperRuntime::new(Anywhere, TokioTimer::new()))
            .unwrap();
        session.sign_in(setup.grant());
        let auth =
            AuthLayer::new(session.clone(), setup.rules()).clone_body(Capture::new(150_000, BoxBody::new));
        let guard = auth.guard();
        let service = ServiceBuilder::new()
            .layer(auth)
            .map_err(Arc::<dyn StdError + Send + Sync>::from)
            .layer(FollowRedirectLayer::new())
            .layer(guard)
            .buffer(64)
            .concurrency_limit(50)
            .timeout(Duration::from_secs(20))
            .service(HyperClient::builder(TokioExecutor::new()).build_http());
        Self { session, service: BoxCloneSyncService::new(service) }
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let boxed = |content: Content| BoxBody::new(content.map_err(Into::into));
        let request = request(spec, boxed)?;
        runtime().block_on(async { answer(self.service.clone().oneshot(request).await).await })
    }
}

/// One connection for each attempt, and no service at all.
struct Connections {
    session: Session,
    auth: AuthLayer<fn(&Content) -> Option<Content>>,
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("not an address")]
    Address,
    #[error("no connection")]
    Io(#[from] std::io::Error),
    #[error("a broken connection")]
    Hyper(#[from] hyper::Error),
}

async fn connect(target: &Uri) -> Result<http1::SendRequest<Content>, ConnectionError> {
    let authority = target.authority().ok_or(ConnectionError::Address)?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host(), port)).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

impl Client for Connections {
    fn new(setup: &Setup) -> Self {
        let _runtime = runtime().enter();
        let session = setup
            .session()
            .asynchronous(
                HyperTransport::new(HttpConnector::new()),
                setup.profile(),
                TokioRuntime::current().unwrap(),
            )
            .unwrap();
        session.sign_in(setup.grant());
        let auth = AuthLayer::new(session.clone(), setup.rules()).clone_body(Content::try_clone as _);
        Self { session, auth }
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec, |content| content)?;
        let auth = self.auth.clone();
        let sent = async move {
            let answered = auth.send_with(request, async |request: Request<Content>| {
                let mut connection = connect(request.uri()).await?;
                Ok(connection.send_request(origin_form(request)).await?)
            });
            answer::<_, ConnectionError>(answered.await).await
        };
        // In a task of its own, which shows that the future is `Send`.
        runtime().block_on(runtime().spawn(sent)).unwrap()
    }
}

mod plain {
    token_refresh_conformance::adapter_rules!(super::Plain);
    token_refresh_conformance::adapter_rules!(super::Plain: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

mod stacked {
    token_refresh_conformance::adapter_rules!(super::Stacked);
}

mod connections {
    // Nobody follows redirects here.
    token_refresh_conformance::adapter_rules!(without redirects: super::Connections);
    token_refresh_conformance::adapter_rules!(super::Connections: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}
