use std::{mem, time::Duration};

use http::{HeaderMap, Method, request::Parts};
use reqwest::{Body, Client, Request, RequestBuilder, Url};
use token_refresh_driver::Token;
use tokio::time::{Instant, timeout};

use crate::Content;

/// A request of a caller's, from which what is sent is copied, as far as its content can be.
pub(crate) struct Template {
    client: Client,
    /// Without header fields, which are different in each attempt.
    request: Request,
    content: Option<Content>,
    /// Whether the content was sent and cannot be sent again.
    spent: bool,
    deadline: Option<Instant>,
}

/// All of a request but its content.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Whether the content of the template belongs to it.
    pub(crate) has_content: bool,
}

impl Template {
    /// Also yields what rules and extensions are read from.
    pub(crate) fn of(client: &Client, request: Request) -> reqwest::Result<(Self, Parts)> {
        // The time limit of a request is for all of it, not for each attempt (RPLY-06).
        let deadline = request.timeout().and_then(|limit| Instant::now().checked_add(*limit));
        let url = request.url().clone();
        // reqwest shows the extensions of a request only to those who take it apart, and would read its URL anew to put
        // it together again.
        let (parts, body) = http::Request::<Body>::try_from(request)?.into_parts();
        let content = parts.extensions.get::<Content>().cloned();
        let mut request = Request::new(parts.method.clone(), url);
        *request.version_mut() = parts.version;
        *request.body_mut() = Some(body).filter(|body| body.as_bytes().is_none_or(|bytes| !bytes.is_empty()));
        Ok((Self { client: client.clone(), request, content, spent: false, deadline }, parts))
    }

    pub(crate) fn head(&self, headers: HeaderMap) -> Head {
        let (method, url) = (self.request.method().clone(), self.request.url().clone());
        Head { method, url, headers, has_content: true }
    }

    /// Whether the content can be sent only once, so that it had better go with a token that is not about to end (RPLY-07).
    pub(crate) fn is_one_shot(&self) -> bool {
        let streams = self.request.body().is_some_and(|body| body.as_bytes().is_none());
        streams && self.content.is_none()
    }

    /// Whether the content can be sent, still or again.
    pub(crate) fn is_whole(&self) -> bool {
        !self.spent
    }

    /// A request with this head, to be sent. May spend the content.
    pub(crate) fn fill(&mut self, head: &Head) -> reqwest::Result<Request> {
        let content = self.content.clone().filter(|_| head.has_content);
        let mut request = if head.has_content && content.is_none() { self.take() } else { self.bare() };
        request.method_mut().clone_from(&head.method);
        if request.url() != &head.url {
            request.url_mut().clone_from(&head.url);
        }
        *request.headers_mut() = head.headers.clone();
        if let Some(left) = self.left() {
            *request.timeout_mut() = Some(left);
        }
        match content {
            None => Ok(request),
            Some(content) => content.put_on(RequestBuilder::from_parts(self.client.clone(), request)).build(),
        }
    }

    /// Waits for a token, at most as long as the request may take.
    pub(crate) async fn wait(
        &self,
        token: impl Future<Output = Result<Token, token_refresh_driver::Error>>,
    ) -> Result<Token, token_refresh_driver::Error> {
        match self.left() {
            None => token.await,
            Some(left) => timeout(left, token).await.unwrap_or(Err(token_refresh_driver::Error::TimedOut)),
        }
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// A copy, or else the request itself.
    fn take(&mut self) -> Request {
        if self.request.body().is_none() {
            // reqwest's copy of a request allocates for what it has not.
            return self.bare();
        }
        self.request.try_clone().unwrap_or_else(|| {
            self.spent = true;
            let bare = self.bare();
            mem::replace(&mut self.request, bare)
        })
    }

    /// The same request without content.
    fn bare(&self) -> Request {
        let mut request = Request::new(self.request.method().clone(), self.request.url().clone());
        *request.version_mut() = self.request.version();
        request
    }
}
