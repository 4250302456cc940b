//! For reqwest-middleware.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};

use crate::{AuthClient, Error, attempts, client::extend, redirects::Sender};

impl AuthClient {
    /// As the outermost layer of a reqwest-middleware stack: what is added later sees every attempt and every hop, and
    /// sees the token.
    ///
    /// This is the only way into such a stack, because the client below must leave redirects to this one.
    ///
    /// Request extensions are those of reqwest-middleware (`with_extension`). Where there is no token, or none that is
    /// newer than the refused one, the call returns [`reqwest_middleware::Error::Middleware`]. `Error::try_from` makes
    /// an [`Error`] of it again, the refusal with its content included.
    ///
    /// ```
    /// # fn make(api: token_refresh_reqwest::AuthClient) {
    /// let client = api.middleware().build(); // or .with(tracing), .with(retry), …
    /// let request = client.get("https://api.example.com/notes").with_extension(token_refresh_reqwest::Replay::Never);
    /// # }
    /// ```
    pub fn middleware(&self) -> ClientBuilder {
        ClientBuilder::new(self.client.clone()).with(Outermost(self.clone()))
    }
}

struct Outermost(AuthClient);

#[async_trait]
impl Middleware for Outermost {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let request = extend(request, extensions.clone())?;
        attempts::run(&self.0, request, Chain { next, extensions }).await
    }
}

struct Chain<'a, 'b> {
    next: Next<'a>,
    extensions: &'b mut Extensions,
}

impl Sender for Chain<'_, '_> {
    type Error = reqwest_middleware::Error;

    async fn send(&mut self, request: Request) -> reqwest_middleware::Result<Response> {
        self.next.clone().run(request, self.extensions).await
    }
}

impl From<Error> for reqwest_middleware::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Http(error) => Self::Reqwest(error),
            ours => Self::middleware(ours),
        }
    }
}

/// Finds the error of this crate again. What other middleware has to say is returned as it is.
impl TryFrom<reqwest_middleware::Error> for Error {
    type Error = reqwest_middleware::Error;

    fn try_from(error: reqwest_middleware::Error) -> Result<Self, reqwest_middleware::Error> {
        match error {
            reqwest_middleware::Error::Reqwest(error) => Ok(Self::Http(error)),
            reqwest_middleware::Error::Middleware(error) => {
                error.downcast().map_err(reqwest_middleware::Error::Middleware)
            }
        }
    }
}
