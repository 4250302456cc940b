//! The formats of an exchange that come with the driver.

mod cookie;
mod jar;
mod json;
mod oauth;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use token_refresh_core::{
    ExchangeError, Scope, Secret,
    wire::{self, Reply},
};

pub(crate) use self::jar::{cookie, field};
pub use self::{cookie::CookieProfile, json::JsonProfile, oauth::OAuthProfile};
use crate::{
    Endpoint, Profile,
    secret_bytes::{bytes, header_value},
};

/// The request of one attempt.
pub(crate) fn request_for(
    profile: &dyn Profile,
    refresh: Option<&Secret>,
    scope: Scope,
) -> Result<Request<Bytes>, ExchangeError> {
    match scope {
        Scope::Configured => profile.request(refresh),
        Scope::Granted => profile.request_without_scope(refresh),
    }
}

/// One POST to the endpoint. A request that cannot be written down is the operator's to mend.
fn post(endpoint: &Endpoint, request: &wire::Request) -> Result<Request<Bytes>, ExchangeError> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = HeaderName::try_from(name).map_err(|_| ExchangeError::Misconfigured)?;
        headers.insert(name, header_value(value.clone()).ok_or(ExchangeError::Misconfigured)?);
    }
    let mut post = Request::new(bytes(request.body().clone()));
    *post.method_mut() = Method::POST;
    *post.uri_mut() = endpoint.uri().clone();
    *post.headers_mut() = headers;
    Ok(post)
}

/// The answer, as the wire format reads it.
pub(crate) fn with_reply<R>(response: &Response<Bytes>, read: impl FnOnce(&Reply<'_>) -> R) -> R {
    let headers: Vec<(&str, &[u8])> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), HeaderValue::as_bytes(value)))
        .collect();
    read(&Reply { status: response.status().as_u16(), headers: &headers, body: response.body() })
}
