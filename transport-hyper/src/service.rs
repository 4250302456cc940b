use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use token_refresh_driver::{Rules, Ruling, Session};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ByClone, Classify, CloneBody, Error, HopGuardLayer, Http401, NoNewerToken, ResponseBody,
    auth::{Admission, Attempts, Auth},
    body::Peek,
    future::ResponseFuture,
};

/// Puts the token of a session on the requests of any HTTP service: a [`Layer`] that makes an [`AuthService`].
///
/// # Where it goes in a stack
///
/// *Outside* whatever follows redirects, with a [`guard`](Self::guard) below that. Inside, it would put the token on
/// again whenever a chain comes back to an allowed origin, on a path that a foreign server has chosen (SEC-03).
///
/// A `timeout` inside covers each attempt; one outside covers everything, the wait for a refresh included, and ends that
/// wait only (CORE-14). A `retry` goes on either side, since each repeats what is its own business. A request that waits
/// for a token holds no place in a `concurrency_limit` or `buffer` below.
#[derive(Clone, Debug)]
pub struct AuthLayer<C = ByClone, K = Http401> {
    auth: Arc<Auth>,
    clone_body: C,
    classify: K,
}

/// Sends requests with the token, and once more with a newer one if it is refused.
///
/// A refusal for which there is no newer token comes back as it is, with a [`NoNewerToken`](crate::NoNewerToken) among
/// its extensions.
///
/// The target of a request must be absolute, with scheme and host, or the token goes nowhere. Extensions of the request
/// are understood: [`Replay`](crate::Replay), [`WithoutToken`](crate::WithoutToken), and another [`Session`] to take the
/// token from.
///
/// # Cancel safety
///
/// Dropping a future of this service cancels that request and nothing else: a refresh it waits for goes on (CORE-14).
#[derive(Clone, Debug)]
pub struct AuthService<S, C = ByClone, K = Http401> {
    inner: S,
    layer: AuthLayer<C, K>,
}

impl AuthLayer {
    /// The token of this session, by these rules.
    pub fn new(session: Session, rules: Rules) -> Self {
        let auth = Auth { session, rules, guarded: AtomicBool::new(false) };
        Self { auth: Arc::new(auth), clone_body: ByClone, classify: Http401 }
    }
}

impl<C, K> AuthLayer<C, K> {
    /// How content is produced again. Default: [`ByClone`].
    #[must_use]
    pub fn clone_body<D>(self, clone_body: D) -> AuthLayer<D, K> {
        AuthLayer { auth: self.auth, clone_body, classify: self.classify }
    }

    /// Which answers refuse the token, besides those that the rules name. Default: [`Http401`].
    #[must_use]
    pub fn classify<L>(self, classify: L) -> AuthLayer<C, L> {
        AuthLayer { auth: self.auth, clone_body: self.clone_body, classify }
    }

    /// What goes below a layer that follows redirects.
    pub fn guard(&self) -> HopGuardLayer {
        self.auth.guarded.store(true, Ordering::Relaxed);
        HopGuardLayer::new(Arc::clone(&self.auth))
    }
}

/// For clients that are no service, such as the connections of `hyper::client::conn`.
impl<C, K: Classify + Clone> AuthLayer<C, K> {
    /// Sends a request as an [`AuthService`] would, by calling `send` once or twice.
    ///
    /// The target must be absolute, or the token goes nowhere; [`origin_form`](crate::origin_form) makes of it what an
    /// HTTP/1 connection needs.
    ///
    /// ```no_run
    /// # use http_body_util::Empty;
    /// # use token_refresh_hyper::{AuthLayer, origin_form};
    /// # async fn send(
    /// #     auth: AuthLayer,
    /// #     mut connection: hyper::client::conn::http1::SendRequest<Empty<bytes::Bytes>>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = http::Request::get("https://api.example.com/things").body(Empty::new())?;
    /// let answer = auth.send_with(request, async |request| {
    ///     connection.ready().await?;
    ///     connection.send_request(origin_form(request)).await
    /// });
    /// println!("{}", answer.await?.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]: no token, or what `send` returned. A refusal for which there is no newer token is an answer, see
    /// [`AuthService`].
    ///
    /// # Cancel safety
    /// Dropping the future ends this request. A refresh that it waits for goes on.
    pub async fn send_with<B, R, E>(
        &self,
        request: Request<B>,
        mut send: impl AsyncFnMut(Request<B>) -> Result<Response<R>, E>,
    ) -> Result<Response<ResponseBody<R>>, Error<E>>
    where
        R: Body,
        C: CloneBody<B> + Clone,
    {
        let Self { auth, clone_body, classify } = self.clone();
        let (mut attempts, body) = match Attempts::admit(auth, request, clone_body, classify) {
            Admission::Carries(attempts, body) => (attempts, body),
            Admission::Plain(request) => {
                return Ok(send(request).await.map_err(Error::Service)?.map(ResponseBody::new));
            }
        };
        let token = attempts.token().await.map_err(Error::NoToken)?;
        let mut request = attempts.with(body, token);
        loop {
            let (mut parts, body) = send(request).await.map_err(Error::Service)?.into_parts();
            let (beginning, body) = if attempts.peeks_at(&parts) {
                let mut peek = Peek::new(body);
                poll_fn(|context| peek.poll(context)).await;
                peek.finish()
            } else {
                (Vec::new(), ResponseBody::new(body))
            };
            let ruling = attempts.judge(&mut parts, &beginning);
            let mut response = Response::from_parts(parts, body);
            let Ruling::Refused { token, replay } = ruling else { return Ok(response) };
            let again = match attempts.session().reject_async(token).await {
                Ok(newer) if replay => attempts.again(newer),
                Ok(_) => None,
                Err(reason) => {
                    response.extensions_mut().insert(NoNewerToken(reason));
                    None
                }
            };
            match again {
                None => return Ok(response),
                Some(again) => request = again,
            }
        }
    }
}

impl<S, C: Clone, K: Clone> Layer<S> for AuthLayer<C, K> {
    type Service = AuthService<S, C, K>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService { inner, layer: self.clone() }
    }
}

impl<S, B, R, C, K> Service<Request<B>> for AuthService<S, C, K>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body,
    C: CloneBody<B> + Clone,
    K: Classify + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Error<S::Error>;
    type Future = ResponseFuture<S, B, R, C, K>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Error::Service)
    }

    /// # Cancel safety
    /// Dropping the future ends this request. A refresh that it waits for goes on.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes into the future, and a clone stays.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let AuthLayer { auth, clone_body, classify } = self.layer.clone();
        ResponseFuture::new(ready, Attempts::admit(auth, request, clone_body, classify))
    }
}
