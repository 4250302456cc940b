use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::{
    client::conn::http1,
    rt::{Read, Write},
};
use hyper_util::client::legacy::connect::Connection;
use token_refresh_driver::{AsyncTransport, Attempt, TransportError};
use tower_service::Service;

use crate::{origin_form, transport::read};

/// Sends token requests with hyper: each on a connection of its own, over HTTP/1.1, once, following nothing.
///
/// It takes a connector, as hyper-util's client does: `HttpConnector`, a TLS connector around it, a proxy tunnel. Where
/// TLS negotiates the protocol, it must not offer HTTP/2 (hyper-rustls: `enable_http1` and no more); with a connection
/// that has agreed on HTTP/2 nothing is sent.
///
/// A connection that was kept would save a handshake now and then. But the server may have closed it, and a request
/// written to a dead connection may or may not have been processed: for a refresh token that is the worst answer.
#[derive(Clone)]
pub struct HyperTransport<C> {
    connector: C,
    on_error: Arc<Observer>,
}

impl<C> HyperTransport<C> {
    /// Connections from this connector.
    pub fn new(connector: C) -> Self {
        Self { connector, on_error: Arc::new(|_| {}) }
    }

    /// Calls `observer` with the reason whenever there is no answer: an unknown host, a refused connection, a
    /// certificate. A session learns only whether something was sent.
    #[must_use]
    pub fn on_error(mut self, observer: impl Fn(&(dyn StdError + 'static)) + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(observer);
        self
    }
}

type BoxError = Box<dyn StdError + Send + Sync>;
type Observer = dyn Fn(&(dyn StdError + 'static)) + Send + Sync;

impl<C, T> AsyncTransport for HyperTransport<C>
where
    C: Service<Uri, Response = T, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync,
    T: Read + Write + Connection + Unpin + Send,
{
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        let not_sent = |error: BoxError| {
            (self.on_error)(&*error);
            TransportError::NotSent
        };
        let lost = |error: hyper::Error| {
            (self.on_error)(&error);
            TransportError::Ambiguous
        };
        let connection = self.connect(request.uri().clone()).await.map_err(not_sent)?;
        let (mut sender, connection) =
            http1::handshake(connection).await.map_err(|error| not_sent(error.into()))?;
        attempt.begin()?;
        let answer = async {
            let response = sender.send_request(origin_form(request).map(Full::new)).await;
            let (parts, body) = response.map_err(lost)?.into_parts();
            Ok(Response::from_parts(parts, read(body).await.map_err(lost)?))
        };
        // Nobody else moves the connection, so it ends with this.
        let (mut answer, mut connection) = (pin!(answer), pin!(connection));
        let mut connected = true;
        poll_fn(|context: &mut Context<'_>| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if connected && connection.as_mut().poll(context).is_ready() {
                connected = false;
                return answer.as_mut().poll(context);
            }
            Poll::Pending
        })
        .await
    }
}

impl<C> HyperTransport<C> {
    async fn connect<T>(&self, target: Uri) -> Result<T, BoxError>
    where
        C: Service<Uri, Response = T, Error: Into<BoxError>> + Clone,
        T: Connection,
    {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await.map_err(Into::into)?;
        let connection = connector.call(target).await.map_err(Into::into)?;
        if connection.connected().is_negotiated_h2() {
            return Err("the connection has agreed on HTTP/2; let the connector offer HTTP/1.1 only".into());
        }
        Ok(connection)
    }
}

impl<C> fmt::Debug for HyperTransport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}
