//! A tonic client and a tonic server.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::{HeaderMap, Request, Response, header, uri::PathAndQuery};
use http_body::Frame;
use http_body_util::StreamBody;
use support::World;
use token_refresh_hyper::{AuthLayer, Capture, Grpc};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint, Server},
};
use tower::Layer as _;

/// Messages that are their own encoding.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

/// How the server says that it does not take the token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    InHeaders,
    InTrailers,
}

#[derive(Clone)]
struct Echo {
    old: String,
    refusal: Refusal,
    calls: Arc<AtomicUsize>,
    messages: Arc<Mutex<Vec<Bytes>>>,
}

impl Echo {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let is_old = request.headers()[header::AUTHORIZATION] == self.old;
        match self.refusal {
            Refusal::InTrailers if is_old => return Ok(refused_late()),
            Refusal::InHeaders | Refusal::InTrailers => {}
        }
        let messages = Arc::clone(&self.messages);
        let echo = tower::service_fn(move |request: tonic::Request<Bytes>| {
            messages.lock().unwrap().push(request.get_ref().clone());
            let answer = if is_old {
                Err(Status::unauthenticated("the token has expired"))
            } else {
                Ok(tonic::Response::new(request.into_inner()))
            };
            async { answer }
        });
        Ok(tonic::server::Grpc::new(Raw).unary(echo, request).await)
    }
}

/// After a message, so that the status can only come in the trailers.
fn refused_late() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "16".parse().unwrap());
    let frames = [Frame::data(Bytes::from_static(&[0, 0, 0, 0, 1, b'x'])), Frame::trailers(trailers)];
    let stream = futures::stream::iter(frames.map(Ok::<_, Infallible>));
    let answer = Response::builder().header(header::CONTENT_TYPE, "application/grpc");
    answer.body(Body::new(StreamBody::new(stream))).unwrap()
}

struct Setup {
    world: World,
    channel: Channel,
    origin: http::Uri,
    echo: Echo,
}

impl Setup {
    async fn new(refusal: Refusal) -> Self {
        let world = World::expired();
        let old = world.session.current().unwrap().header().to_str().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let echo = Echo { old, refusal, calls: Arc::default(), messages: Arc::default() };
        let served = echo.clone();
        let service = tower::service_fn(move |request| served.clone().answer(request));
        tokio::spawn(Server::builder().serve_with_incoming(service, TcpListenerStream::new(listener)));
        let channel = Endpoint::from_shared(origin.clone()).unwrap().connect().await.unwrap();
        Self { world, channel, origin: origin.parse().unwrap(), echo }
    }

    async fn call(&self, message: Bytes) -> Result<Bytes, Status> {
        let auth = AuthLayer::new(self.world.session.clone(), support::rules(&self.origin.to_string()))
            .clone_body(Capture::new(64 * 1024, Body::new))
            .classify(Grpc);
        // Without the origin the layer would not know where the call goes, and leave the token off.
        let mut client =
            tonic::client::Grpc::with_origin(auth.layer(self.channel.clone()), self.origin.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/test.Echo/Echo");
        Ok(client.unary(tonic::Request::new(message), path, Raw).await?.into_inner())
    }
}

#[tokio::test]
async fn unauthenticated_in_the_headers_is_refreshed_and_the_call_repeated() {
    let setup = Setup::new(Refusal::InHeaders).await;
    let message = Bytes::from(vec![b'm'; 50_000]);
    assert_eq!(setup.call(message.clone()).await.unwrap(), message);
    assert_eq!(setup.echo.calls.load(Ordering::SeqCst), 2);
    assert_eq!(*setup.echo.messages.lock().unwrap(), [message.clone(), message.clone()]);
    assert_eq!(setup.call(message.clone()).await.unwrap(), message);
    assert_eq!(setup.echo.calls.load(Ordering::SeqCst), 3);
    assert_eq!(setup.world.token_requests(), 1);
}

/// Something was delivered already.
#[tokio::test]
async fn unauthenticated_in_the_trailers_is_handed_on() {
    let setup = Setup::new(Refusal::InTrailers).await;
    let status = setup.call(Bytes::from_static(b"m")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(setup.echo.calls.load(Ordering::SeqCst), 1);
    assert_eq!(setup.world.token_requests(), 0);
}

#[tokio::test]
async fn rply_03_a_call_too_long_to_keep_is_refreshed_and_not_repeated() {
    let setup = Setup::new(Refusal::InHeaders).await;
    let status = setup.call(Bytes::from(vec![b'm'; 100_000])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(setup.echo.calls.load(Ordering::SeqCst), 1);
    assert_eq!(setup.world.token_requests(), 1);
    setup.call(Bytes::from(vec![b'm'; 100_000])).await.unwrap();
    assert_eq!(setup.echo.calls.load(Ordering::SeqCst), 2);
}
