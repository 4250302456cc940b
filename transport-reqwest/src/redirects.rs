//! Redirects are followed here and not by reqwest: it takes credentials off for the hop that leaves an origin, and has
//! them on again in the next one if that stays on the foreign host (SEC-03).

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Request, Response, Url};
use token_refresh_driver::Carried;

use crate::{
    Error,
    template::{Head, Template},
};

/// Sends one request, and follows nothing.
pub(crate) trait Sender {
    type Error: From<Error>;

    fn send(&mut self, request: Request) -> impl Future<Output = Result<Response, Self::Error>> + Send;
}

/// The answer to an attempt, after all redirects.
pub(crate) struct Arrival {
    pub(crate) response: Response,
    pub(crate) carried: Carried,
    /// Whether a redirect made a GET of another method. Then the server has acted on the first request, and says where
    /// to read the outcome.
    pub(crate) acted: bool,
}

/// Sends a request and follows up to `limit` redirects; a further one is the answer.
pub(crate) async fn follow<S: Sender>(
    template: &mut Template,
    headers: HeaderMap,
    limit: usize,
    sender: &mut S,
) -> Result<Arrival, S::Error> {
    let mut head = template.head(headers);
    let (mut carried, mut acted) = (Carried::Yes, false);
    for _ in 0..limit {
        let request = template.fill(&head).map_err(Error::Http)?;
        let response = sender.send(request).await?;
        let Some(hop) = Hop::of(&response, &head, template.is_whole()) else {
            return Ok(Arrival { response, carried, acted });
        };
        acted |= hop.method != head.method;
        if hop.url.origin() != head.url.origin() {
            // For the rest of the chain, wherever it leads.
            carried = Carried::No;
            remove_credentials(&mut head.headers);
        }
        hop.apply(&mut head);
    }
    let request = template.fill(&head).map_err(Error::Http)?;
    Ok(Arrival { response: sender.send(request).await?, carried, acted })
}

/// Where a redirect leads (RFC 9110 §15.4).
struct Hop {
    method: Method,
    url: Url,
    drops_content: bool,
}

impl Hop {
    /// `None` if the answer is none that can be followed.
    fn of(response: &Response, head: &Head, is_whole: bool) -> Option<Self> {
        let post = head.method == Method::POST;
        let drops_content = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => post,
            StatusCode::SEE_OTHER => true,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return None,
        };
        if head.has_content && !drops_content && !is_whole {
            return None;
        }
        let location = std::str::from_utf8(response.headers().get(header::LOCATION)?.as_bytes()).ok()?;
        let url = head.url.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let method =
            if drops_content && head.method != Method::HEAD { Method::GET } else { head.method.clone() };
        Some(Self { method, url, drops_content })
    }

    fn apply(self, head: &mut Head) {
        head.method = self.method;
        head.url = self.url;
        if self.drops_content {
            head.has_content = false;
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_LENGTH,
                header::CONTENT_ENCODING,
                header::TRANSFER_ENCODING,
            ] {
                head.headers.remove(name);
            }
        }
    }
}

/// What reqwest removes, and for the same reason.
fn remove_credentials(headers: &mut HeaderMap) {
    for name in ["authorization", "cookie", "cookie2", "proxy-authorization", "www-authenticate"] {
        headers.remove(name);
    }
}
