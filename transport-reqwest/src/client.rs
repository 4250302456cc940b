use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Method};
use reqwest::{Client, ClientBuilder, IntoUrl, Request, RequestBuilder, Response, redirect};
use token_refresh_driver::{Rules, Session};
use tower_service::Service;

use crate::{Error, attempts, redirects::Sender};

/// A reqwest client whose requests carry the session's token. Cheap to clone; clones share connections and session.
///
/// - The token goes to the allowed origins and nowhere else. Every other request, and every request that brings its own
///   `Authorization`, is sent as it is. One that is among the builder's default headers gives way to the token.
/// - A request whose token is refused is sent once more with a newer one, if its method and its content allow it
///   ([`Replay`](crate::Replay), [`Content`](crate::Content)).
/// - A redirect to another origin takes the token off, for the rest of the chain, and whoever answers then refuses
///   nothing.
///
/// 4xx and 5xx are answers, as usual in reqwest.
///
/// It is also a [`tower_service::Service`] of [`reqwest::Request`], and is always ready.
///
/// # Redirects
///
/// They are followed here and not by reqwest, which hands credentials to a foreign host if that redirects to itself. The
/// redirect policy of the builder is replaced by the [limit](Self::max_redirects). Methods and content change as reqwest
/// changes them; no `Referer` is sent.
///
/// # Time limits
///
/// The time limit of a request ([`RequestBuilder::timeout`]) is for all of it: the token, both attempts, and every hop.
/// That of the client is for each hop, and the session has its own for the token.
///
/// # Cancel safety
///
/// Dropping a future of this client cancels that request and nothing else: a refresh it waits for goes on (CORE-14).
#[derive(Clone, Debug)]
pub struct AuthClient {
    pub(crate) client: Client,
    pub(crate) session: Session,
    pub(crate) rules: Arc<Rules>,
    pub(crate) max_redirects: usize,
}

impl AuthClient {
    /// Sends with a client that is built like this, with the tokens of this session, by these rules.
    ///
    /// # Errors
    /// No client can be built like this.
    pub fn new(builder: ClientBuilder, session: Session, rules: Rules) -> reqwest::Result<Self> {
        let client = builder.redirect(redirect::Policy::none()).build()?;
        Ok(Self { client, session, rules: Arc::new(rules), max_redirects: 10 })
    }

    /// How many redirects are followed for one attempt; a further one is the answer. Default: 10, as in reqwest.
    #[must_use]
    pub fn max_redirects(mut self, limit: usize) -> Self {
        self.max_redirects = limit;
        self
    }

    /// The session, to sign in and out.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Sends the request and waits for the answer; before that, if need be, for a token.
    ///
    /// Extensions of the request are understood: [`Replay`](crate::Replay), [`WithoutToken`](crate::WithoutToken),
    /// [`Content`](crate::Content), and another [`Session`] to take the token from.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Refused`] the answer that refused the token is in it.
    pub fn execute(&self, request: Request) -> ResponseFuture {
        let auth = self.clone();
        ResponseFuture(Box::pin(async move { attempts::run(&auth, request, Direct(&auth.client)).await }))
    }
}

/// The verbs of [`reqwest::Client`].
impl AuthClient {
    /// Starts a GET request.
    pub fn get(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::GET, url)
    }

    /// Starts a HEAD request.
    pub fn head(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Starts a POST request.
    pub fn post(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::POST, url)
    }

    /// Starts a PUT request.
    pub fn put(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Starts a PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> AuthRequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Starts a request with any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> AuthRequestBuilder {
        AuthRequestBuilder {
            auth: self.clone(),
            request: self.client.request(method, url),
            extensions: Extensions::new(),
        }
    }
}

/// A request of an [`AuthClient`] in the making.
#[must_use = "a request is not sent before `send` is called and awaited"]
#[derive(Debug)]
pub struct AuthRequestBuilder {
    auth: AuthClient,
    request: RequestBuilder,
    extensions: Extensions,
}

impl AuthRequestBuilder {
    /// Everything that reqwest's own builder can do: `.with(|request| request.query(&filter).json(&note))`.
    pub fn with(mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        self.request = change(self.request);
        self
    }

    /// Adds an extension, see [`AuthClient::execute`]. Replaces an earlier one of its type.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.insert(extension);
        self
    }

    /// Sends the request; see [`AuthClient::execute`].
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Refused`] the answer that refused the token is in it.
    pub fn send(self) -> ResponseFuture {
        match self.request.build().and_then(|request| extend(request, self.extensions)) {
            Ok(request) => self.auth.execute(request),
            Err(error) => ResponseFuture::failed(error),
        }
    }
}

/// reqwest's builder has no place for extensions.
pub(crate) fn extend(request: Request, extensions: Extensions) -> reqwest::Result<Request> {
    if extensions.is_empty() {
        return Ok(request);
    }
    let mut request = http::Request::<reqwest::Body>::try_from(request)?;
    request.extensions_mut().extend(extensions);
    request.try_into()
}

/// For programs that use reqwest's own builders: `.send()` becomes `.send_with(&api)`.
pub trait SendWith {
    /// Sends the request with this client, not with the one that the builder came from; see [`AuthClient::execute`].
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Refused`] the answer that refused the token is in it.
    fn send_with(self, api: &AuthClient) -> ResponseFuture;
}

impl SendWith for RequestBuilder {
    fn send_with(self, api: &AuthClient) -> ResponseFuture {
        match self.build() {
            Ok(request) => api.execute(request),
            Err(error) => ResponseFuture::failed(error),
        }
    }
}

impl Service<Request> for AuthClient {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        self.execute(request)
    }
}

/// The answer to come. Dropping it cancels the request and nothing else.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>);

impl ResponseFuture {
    fn failed(error: reqwest::Error) -> Self {
        Self(Box::pin(std::future::ready(Err(Error::Http(error)))))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

struct Direct<'a>(&'a Client);

impl Sender for Direct<'_> {
    type Error = Error;

    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        Ok(self.0.execute(request).await?)
    }
}
