//! The kit's servers, content of both kinds, and a runtime for tests that are not async.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_hyper::{
    AllowedOrigins, Endpoint, Grant, HyperTransport, OAuthProfile, Rules, Session, TokioRuntime,
    wire::{ClientAuth, OAuthClient},
};
use tokio::runtime::Runtime;

/// How long a test waits for what must happen before it fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// One for all tests of a file.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Content of a request.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Bytes),
    /// Piece by piece, once.
    Stream(VecDeque<Bytes>),
}

impl Content {
    pub(crate) fn stream(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::Stream(pieces.into_iter().map(Bytes::from).collect())
    }

    /// For `AuthLayer::clone_body`.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Bytes(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Stream(pieces) => pieces.pop_front(),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Stream(pieces) => pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// An API that refuses the only access token that there is, until it is refreshed.
pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    pub(crate) api: ResourceServer,
    pub(crate) session: Session,
    pub(crate) rules: Rules,
}

impl World {
    /// To be called in a tokio runtime.
    pub(crate) fn expired() -> Self {
        let auth = AuthorizationServer::start(Policy::default()).unwrap();
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
        let issued = auth.issue();
        auth.expire(&issued.access_token);
        let session = session(&auth.url("/token"));
        session.sign_in(
            Grant::new(issued.access_token).unwrap().with_refresh_token(issued.refresh_token).unwrap(),
        );
        let rules = rules(&api.url(""));
        Self { auth, api, session, rules }
    }

    /// Which generations of the access token the requests for this target carried.
    pub(crate) fn generations(&self, target: &str) -> Vec<Option<u32>> {
        self.api.generations(target)
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.auth.token_requests().len()
    }
}

pub(crate) fn rules(origin: &str) -> Rules {
    Rules::new(AllowedOrigins::none().loopback_http(origin).unwrap())
}

pub(crate) fn profile(token_endpoint: &str) -> OAuthProfile {
    let client = OAuthClient::new(ClientAuth::None { client_id: "test".into() });
    OAuthProfile::refresh_token(client, Endpoint::https_or_loopback(token_endpoint).unwrap())
}

/// To be called in a tokio runtime.
pub(crate) fn session(token_endpoint: &str) -> Session {
    let transport = HyperTransport::new(HttpConnector::new());
    let runtime = TokioRuntime::current().unwrap();
    Session::builder().asynchronous(transport, profile(token_endpoint), runtime).unwrap()
}

pub(crate) async fn text<B: Body<Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
