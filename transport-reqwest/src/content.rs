use std::{fmt, sync::Arc};

use reqwest::{Body, RequestBuilder};

/// A request extension: content that is made anew whenever the request is sent, and can so be repeated although reqwest
/// cannot copy it (RPLY-03). It takes the place of the request's own content.
///
/// ```
/// use bytes::Bytes;
/// use token_refresh_reqwest::{AuthClient, Content, Error, reqwest::Body};
///
/// # async fn upload(api: &AuthClient, scan: Bytes) -> Result<(), Error> {
/// let content = Content::new(move || Body::from(scan.clone()));
/// api.put("https://api.example.com/scans/1").extension(content).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Content(Arc<dyn Fn(RequestBuilder) -> RequestBuilder + Send + Sync>);

impl Content {
    /// What `make` makes. It must make the same each time.
    pub fn new<B: Into<Body>>(make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |request| request.body(make())))
    }

    /// The form that `make` makes. It must make the same each time; only the boundary differs, because reqwest chooses
    /// it.
    ///
    /// ```
    /// use token_refresh_reqwest::{AuthClient, Content, Error, reqwest::multipart::Form};
    ///
    /// # async fn upload(api: &AuthClient) -> Result<(), Error> {
    /// let form = Content::form(|| Form::new().text("title", "Invoice").text("page", "1"));
    /// api.post("https://api.example.com/scans").extension(form).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "multipart")]
    pub fn form(make: impl Fn() -> reqwest::multipart::Form + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |request| request.multipart(make())))
    }

    pub(crate) fn put_on(&self, request: RequestBuilder) -> RequestBuilder {
        (self.0)(request)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}
