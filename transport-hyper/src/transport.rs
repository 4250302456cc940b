use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use token_refresh_driver::{AsyncTransport, Attempt, TransportError, WithoutToken};
use tower_service::Service;

/// Sends token requests through a service that is there already: the proxy, the TLS and the pool of the program.
///
/// The service must send once, and follow and repeat nothing: hyper-util's client needs
/// `retry_canceled_requests(false)`. It connects by itself, so whether it is still time to send ([`Attempt::begin`]) is
/// decided before the connection stands and not after it, and a failure counts as if the request may have been sent,
/// unless [`not_sent_if`](Self::not_sent_if) says otherwise. `HyperTransport` of feature `client` knows better; prefer
/// it.
pub struct ServiceTransport<S, B, E> {
    service: S,
    body: fn(Bytes) -> B,
    not_sent: fn(&E) -> bool,
}

impl<S: Service<Request<B>>, B: From<Bytes>> ServiceTransport<S, B, S::Error> {
    /// Through this service.
    pub fn new(service: S) -> Self {
        Self { service, body: B::from, not_sent: |_| false }
    }

    /// An error of this kind means that certainly nothing was sent: no address, no connection, no TLS. With hyper-util's
    /// client, `|error| error.is_connect()`. Being offline is then a passing failure, and not one of unknown outcome.
    #[must_use]
    pub fn not_sent_if(mut self, not_sent: fn(&S::Error) -> bool) -> Self {
        self.not_sent = not_sent;
        self
    }
}

impl<S, B, R> AsyncTransport for ServiceTransport<S, B, S::Error>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + Sync,
    B: Send,
    R: Body<Data: Send> + Send,
{
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut service = self.service.clone();
        poll_fn(|context| service.poll_ready(context)).await.map_err(|_| TransportError::NotSent)?;
        let mut request = request.map(self.body);
        // Should there be a layer of ours in the stack: this request is no business of its (CORE-15).
        request.extensions_mut().insert(WithoutToken);
        attempt.begin()?;
        let response = service.call(request).await.map_err(|error| {
            if (self.not_sent)(&error) { TransportError::NotSent } else { TransportError::Ambiguous }
        })?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, read(body).await.map_err(|_| TransportError::Ambiguous)?))
    }
}

/// The content, as much of it as is looked at and one byte more.
pub(crate) async fn read<R: Body>(body: R) -> Result<Bytes, R::Error> {
    let mut body: Pin<&mut R> = pin!(body);
    let mut content = Vec::new();
    while content.len() <= Attempt::MAX_BODY {
        match poll_fn(|context| body.as_mut().poll_frame(context)).await {
            None => break,
            Some(Err(error)) => return Err(error),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    append(&mut content, data);
                }
            }
        }
    }
    Ok(content.into())
}

fn append(content: &mut Vec<u8>, data: impl Buf) {
    let mut data = data.take(Attempt::MAX_BODY + 1 - content.len());
    while data.has_remaining() {
        let chunk = data.chunk();
        content.extend_from_slice(chunk);
        let length = chunk.len();
        data.advance(length);
    }
}

impl<S, B, E> fmt::Debug for ServiceTransport<S, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport").finish_non_exhaustive()
    }
}
