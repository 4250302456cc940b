//! Takes requests in, sends them on with the token, and hands the answers back. Content streams both ways.

use std::{
    convert::Infallible,
    error::Error as StdError,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{self, AUTHORIZATION, CONNECTION, EXPECT, HOST, ORIGIN},
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use token_refresh_hyper::{
    AuthLayer, AuthService, Capture, Captured, Error, NoNewerToken, Rules, Session, driver::State,
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tower::{Layer as _, ServiceExt as _};

use crate::{account::connector, problem::Problem};

type BoxError = Box<dyn StdError + Send + Sync>;
type Content = UnsyncBoxBody<Bytes, BoxError>;
type Upstream =
    AuthService<Client<HttpsConnector<HttpConnector>, Content>, Capture<fn(Captured<Content>) -> Content>>;

/// How many connections are open at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How much of a request's content is kept, so that it can be sent again.
const MAX_KEPT: usize = 64 * 1024;
/// How long a client may take for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long the upstream may take for the head of an answer, a refresh included.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long requests under way may take when the gateway is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What concerns one connection and not the next (RFC 9110 §7.6.1), besides what `Connection` names.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(crate) struct Gateway {
    upstream: Upstream,
    base: Base,
    session: Session,
    log: Box<dyn Fn(&str) + Send + Sync>,
}

/// What comes before the path of each request.
struct Base {
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    path: String,
}

impl Gateway {
    /// Tells `log` about each request: method, path, status and time, and nothing that might be a secret.
    pub(crate) fn new(
        session: Session,
        rules: Rules,
        upstream: &Uri,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, Problem> {
        let parts = upstream.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(
                Problem::new(format!("{upstream}: this is not a whole URL")).advise("begin it with https://")
            );
        };
        let base = Base { scheme, authority, path: upstream.path().trim_end_matches('/').into() };
        let rebox: fn(Captured<Content>) -> Content = Content::new;
        let auth = AuthLayer::new(session.clone(), rules).clone_body(Capture::new(MAX_KEPT, rebox));
        let client = Client::builder(TokioExecutor::new()).build(connector());
        Ok(Arc::new(Self { upstream: auth.layer(client), base, session, log: Box::new(log) }))
    }

    /// Serves until told to stop, and then what is under way.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let own = listener.local_addr()?;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let connections = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
            };
            // What has failed is that one connection.
            let (Ok(place), Ok((stream, _))) = accepted else { continue };
            let gateway = Arc::clone(&self);
            let answer = service_fn(move |request| Arc::clone(&gateway).answer(request, own));
            let connection = connections.watch(http.serve_connection(TokioIo::new(stream), answer));
            tokio::spawn(async move {
                // A client that hangs up is its own affair.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(listener);
        // What is still under way after that is cut off.
        let _ = timeout(GRACE, connections.shutdown()).await;
        Ok(())
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        own: SocketAddr,
    ) -> Result<Response<Content>, Infallible> {
        let begun = Instant::now();
        let line = format!("{} {}", request.method(), shown(request.uri().path()));
        let response = if !is_local(request.headers(), own) {
            plain(StatusCode::FORBIDDEN, "this gateway is not for web pages, nor for other names\n")
        } else if request.uri().path() == "/healthz" {
            self.health()
        } else {
            self.forward(request).await
        };
        let reason = response.extensions().get().map(|NoNewerToken(reason)| format!(", {reason}"));
        let (status, time) = (response.status().as_u16(), begun.elapsed().as_millis());
        (self.log)(&format!("{line} → {status} in {time} ms{}", reason.unwrap_or_default()));
        Ok(response)
    }

    async fn forward(&self, request: Request<Incoming>) -> Response<Content> {
        let Some(request) = self.base.rewrite(request) else {
            return plain(StatusCode::BAD_REQUEST, "this target cannot be sent on\n");
        };
        let request = request.map(|content| Content::new(content.map_err(Into::into)));
        // In a box, because the compiler cannot see otherwise that the task around it is `Send`.
        let sending: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(self.upstream.clone().oneshot(request));
        match timeout(ANSWER_LIMIT, sending).await {
            Ok(Ok(response)) => {
                let mut response = response.map(|content| Content::new(content.map_err(Into::into)));
                remove_hop_by_hop(response.headers_mut());
                response
            }
            Ok(Err(Error::NoToken(reason))) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, &format!("there is no access token: {reason}\n"))
            }
            Ok(Err(Error::Service(_))) => plain(StatusCode::BAD_GATEWAY, "the upstream does not answer\n"),
            Err(_) => plain(StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long\n"),
        }
    }

    fn health(&self) -> Response<Content> {
        let (status, state, reason) = match self.session.state() {
            State::Idle => (StatusCode::OK, "idle", None),
            State::Refreshing => (StatusCode::OK, "refreshing", None),
            State::Failed(failure) => (StatusCode::SERVICE_UNAVAILABLE, "failed", Some(failure.to_string())),
        };
        // A name for the token, which shows nothing of it.
        let token = self.session.current().map(|token| token.id().to_string());
        let report = serde_json::json!({ "state": state, "reason": reason, "token": token });
        let mut response = plain(status, &format!("{report}\n"));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl Base {
    /// As the upstream is to see the request. The token is put on later.
    fn rewrite<B>(&self, request: Request<B>) -> Option<Request<B>> {
        let (mut parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        parts.uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{target}", self.path))
            .build()
            .ok()?;
        parts.version = Version::HTTP_11;
        remove_hop_by_hop(&mut parts.headers);
        // The host is the upstream's, what a program says to have an own token is not meant, and who waits for leave to
        // send its content has got it here.
        for name in [HOST, AUTHORIZATION, EXPECT] {
            parts.headers.remove(name);
        }
        Some(Request::from_parts(parts, body))
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether the request comes from a program that was given the gateway's address. A web page can send requests to a
/// loopback address, under another name that leads there (DNS rebinding) or with its origin on them.
fn is_local(headers: &HeaderMap, own: SocketAddr) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let known = [own.to_string(), format!("localhost:{}", own.port())];
    let named = host.is_some_and(|host| known.iter().any(|name| name.eq_ignore_ascii_case(host)));
    named && !headers.contains_key(ORIGIN) && !headers.contains_key("sec-fetch-site")
}

/// The beginning of a path; the query is left out, because people put tokens there.
fn shown(path: &str) -> &str {
    path.get(..100).unwrap_or(path)
}

fn plain(status: StatusCode, text: &str) -> Response<Content> {
    let mut response = Response::new(Content::new(Full::from(text.to_owned()).map_err(Into::into)));
    *response.status_mut() = status;
    response
}
