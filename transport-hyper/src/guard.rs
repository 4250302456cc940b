use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use token_refresh_driver::Carried;
use tower_layer::Layer;
use tower_service::Service;

use crate::auth::{Auth, LastHop, Trail};

/// Goes below a layer that follows redirects, such as `FollowRedirect` of tower-http: a [`Layer`] that makes a
/// [`HopGuard`]. Comes from [`AuthLayer::guard`](crate::AuthLayer::guard).
///
/// ```
/// use token_refresh_hyper::{AuthLayer, Rules, Session};
/// use tower::ServiceBuilder;
/// use tower_http::follow_redirect::FollowRedirectLayer;
///
/// # fn stack<S: Clone>(session: Session, rules: Rules, client: S) {
/// let auth = AuthLayer::new(session, rules);
/// let guard = auth.guard();
/// let service = ServiceBuilder::new()
///     .layer(auth)
///     .layer(FollowRedirectLayer::new())
///     .layer(guard)
///     .service(client);
/// # }
/// ```
///
/// It sees every hop. It takes the token off one that leads elsewhere, and off all that follow (SEC-03), if the layer
/// above has not; and it tells the [`AuthService`](crate::AuthService) whether the token was on the last, because a 401
/// from a server that was not sent it says nothing about it (CHAL-08), and whether the request became a GET, because
/// then the server has acted and must not be asked to again.
#[derive(Clone, Debug)]
pub struct HopGuardLayer {
    auth: Arc<Auth>,
}

/// Watches over the hops of redirected requests. See [`HopGuardLayer`].
#[derive(Clone, Debug)]
pub struct HopGuard<S> {
    inner: S,
    auth: Arc<Auth>,
}

impl HopGuardLayer {
    pub(crate) fn new(auth: Arc<Auth>) -> Self {
        Self { auth }
    }
}

impl<S> Layer<S> for HopGuardLayer {
    type Service = HopGuard<S>;

    fn layer(&self, inner: S) -> HopGuard<S> {
        HopGuard { inner, auth: Arc::clone(&self.auth) }
    }
}

impl<S> HopGuard<S> {
    fn check<B>(&self, request: &mut Request<B>) -> Carried {
        // A layer above that has taken off the token has taken off this too.
        let Some(trail) = request.extensions().get::<Trail>().cloned() else { return Carried::No };
        if !self.auth.rules.permits(request.uri()) {
            trail.leave();
        }
        if trail.has_left() {
            request.headers_mut().remove(&trail.field);
        }
        if request.headers().contains_key(&trail.field) { Carried::Yes } else { Carried::No }
    }
}

impl<S, B, R> Service<Request<B>> for HopGuard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HopFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> HopFuture<S::Future> {
        let carried = self.check(&mut request);
        let hop = LastHop { carried, method: request.method().clone() };
        HopFuture { response: self.inner.call(request), hop: Some(hop) }
    }
}

pin_project! {
    /// An answer to come: the future of a [`HopGuard`].
    #[must_use = "futures do nothing unless polled"]
    pub struct HopFuture<F> {
        #[pin]
        response: F,
        hop: Option<LastHop>,
    }
}

impl<F: Future<Output = Result<Response<R>, E>>, R, E> Future for HopFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.response.poll(context))?;
        if let Some(hop) = this.hop.take() {
            response.extensions_mut().insert(hop);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for HopFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopFuture").field("hop", &self.hop).finish_non_exhaustive()
    }
}
