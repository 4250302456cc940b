use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use reqwest::{Client, ClientBuilder, redirect, retry};
use token_refresh_driver::{AsyncTransport, Attempt, TransportError};
use tower_layer::layer_fn;
use tower_service::Service;

/// Sends token requests with reqwest: each on a connection of its own, once, following nothing.
///
/// A connection that was kept would save a handshake now and then. But the server may have closed it, and a request
/// written to a dead connection may or may not have been processed: for a refresh token that is the worst answer.
///
/// Whether it is still time to send ([`Attempt::begin`]) is decided when the connection stands, tunnel and TLS included,
/// just before it is handed to hyper, which then writes. Between the decision and the first byte lie the wake-up of a
/// task and, with HTTP/2, the client's preface; reqwest has no later place to decide. A runtime that stalls just there
/// sends late by as much as it stalls.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: Client,
}

impl ReqwestTransport {
    /// Direct connections, whatever proxy the environment names; TLS as reqwest's features say.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new() -> reqwest::Result<Self> {
        Self::with_builder(Client::builder().no_proxy())
    }

    /// Connections as this builder says: proxy, TLS, cookies, time limits that are shorter than the session's. With
    /// reqwest's feature `system-proxy`, a builder takes its proxy from the environment unless it is told otherwise.
    ///
    /// What concerns redirects, retries and idle connections in it is overruled.
    ///
    /// # Errors
    /// No client can be built like this.
    pub fn with_builder(builder: ClientBuilder) -> reqwest::Result<Self> {
        let client = builder
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            // The last layer is the outermost: nothing of the builder's comes between it and hyper.
            .connector_layer(layer_fn(|connector| Gate { connector }))
            .build()?;
        Ok(Self { client })
    }
}

impl AsyncTransport for ReqwestTransport {
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        let exchange = async {
            let request = reqwest::Request::try_from(request)?;
            whole(self.client.execute(request).await?).await
        };
        let result: reqwest::Result<_> = ATTEMPT.scope(attempt.clone(), exchange).await;
        result.map_err(|_| match attempt.sent_at() {
            // The gate never opened, so nothing was written.
            None => TransportError::NotSent,
            Some(_) => TransportError::Ambiguous,
        })
    }
}

/// The answer with its content, or with the beginning of content that is too long.
async fn whole(mut response: reqwest::Response) -> reqwest::Result<Response<Bytes>> {
    let mut content = Vec::new();
    while content.len() <= Attempt::MAX_BODY {
        let Some(chunk) = response.chunk().await? else { break };
        content.extend_from_slice(&chunk);
    }
    content.truncate(Attempt::MAX_BODY + 1);
    let (parts, _) = Response::<reqwest::Body>::from(response).into_parts();
    Ok(Response::from_parts(parts, content.into()))
}

tokio::task_local! {
    /// The attempt that a connection is made for. Without idle connections a client connects inside the future of the
    /// request, so this finds its way from one to the other.
    static ATTEMPT: Attempt;
}

/// A connector that looks at the clock between connecting and writing.
#[derive(Clone)]
struct Gate<C> {
    connector: C,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<C, Target> Service<Target> for Gate<C>
where
    C: Service<Target, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.connector.call(target);
        Box::pin(async move {
            let connection = connecting.await?;
            ATTEMPT.try_with(Attempt::begin)??;
            Ok(connection)
        })
    }
}
