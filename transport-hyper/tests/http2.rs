//! hyper-util's client over HTTP/2, with many requests on one connection.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use support::World;
use token_refresh_hyper::AuthLayer;
use tokio::{net::TcpListener, sync::Barrier};
use tower::{Layer as _, ServiceExt as _};

const REQUESTS: usize = 100;

/// Takes any token but the first, and echoes. The first refusals all leave together.
async fn serve(listener: TcpListener, old: String, refused: Arc<AtomicUsize>) {
    let together = Arc::new(Barrier::new(REQUESTS));
    let (stream, _) = listener.accept().await.unwrap();
    let echo = service_fn(move |request: Request<Incoming>| {
        let (old, refused, together) = (old.clone(), Arc::clone(&refused), Arc::clone(&together));
        async move {
            let is_old = request.headers()[header::AUTHORIZATION] == old;
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if is_old {
                refused.fetch_add(1, Ordering::SeqCst);
                together.wait().await;
            }
            let answer = Response::builder().status(if is_old { 401 } else { 200 });
            let answer = answer.header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
            Ok::<_, Infallible>(answer.body(Full::new(body)).unwrap())
        }
    });
    http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(u32::try_from(REQUESTS).unwrap())
        .serve_connection(TokioIo::new(stream), echo)
        .await
        .unwrap();
}

#[tokio::test]
async fn core_01_a_herd_on_one_connection_makes_one_token_request() {
    let world = World::expired();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let old = world.session.current().unwrap().header().to_str().unwrap().to_owned();
    let refused = Arc::new(AtomicUsize::new(0));
    tokio::spawn(serve(listener, old, Arc::clone(&refused)));

    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let service = AuthLayer::new(world.session.clone(), support::rules(&origin)).layer(client);
    let send = |number: usize| {
        let content = format!("content {number}");
        let request = Request::post(&origin).body(Full::from(content.clone())).unwrap();
        let service = service.clone();
        async move {
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(support::text(response).await, content);
        }
    };
    futures::future::join_all((0..REQUESTS).map(send)).await;
    assert_eq!(refused.load(Ordering::SeqCst), REQUESTS);
    assert_eq!(world.token_requests(), 1);
}
