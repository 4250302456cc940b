use http::Uri;

use crate::origin::Origin;

/// The address of a token or revocation endpoint, checked: absolute, `https`, no userinfo, no fragment (RFC 6749 §3.2,
/// XREQ-05).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// An address that a refresh token must not be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute URI.
    #[error("the endpoint is not an absolute URI; write it in full: https://auth.example.com/token")]
    NotAbsolute,
    /// Not `https`.
    #[error("the endpoint is not https: the refresh token could be read on its way; write https://")]
    NotHttps,
    /// Neither `https` nor `http` to a loopback address.
    #[error(
        "http is for loopback addresses only; write https://, or http://127.0.0.1 or http://[::1] for a test"
    )]
    NotLoopback,
    /// User and password in the address.
    #[error(
        "the endpoint has a user or a password in its address; give the client's credentials to the profile"
    )]
    UserInfo,
    /// A query, which an issuer has none of (RFC 8414 §2).
    #[error("the issuer has a query; leave out the ? and what follows")]
    Query,
    /// A fragment, which is never sent.
    #[error("the endpoint has a fragment; leave out the # and what follows")]
    Fragment,
}

impl Endpoint {
    /// Reads the address of an endpoint. Its own query, if it has one, is kept.
    ///
    /// # Errors
    /// [`EndpointError`]; its text says what to write instead.
    pub fn https(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, |_| Err(EndpointError::NotHttps))
    }

    /// As [`https`](Self::https), and also takes `http` to a loopback address (`127.0.0.0/8`, `[::1]`): for development
    /// and tests.
    ///
    /// # Errors
    /// [`EndpointError`]; its text says what to write instead.
    pub fn https_or_loopback(text: &str) -> Result<Self, EndpointError> {
        Self::parse(
            text,
            |origin| if origin.is_loopback() { Ok(()) } else { Err(EndpointError::NotLoopback) },
        )
    }

    /// The address.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    fn parse(
        text: &str,
        plain: impl FnOnce(&Origin<'_>) -> Result<(), EndpointError>,
    ) -> Result<Self, EndpointError> {
        if text.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotAbsolute)?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(EndpointError::UserInfo);
        }
        let origin = Origin::of(&uri).ok_or(EndpointError::NotAbsolute)?;
        if !origin.https {
            plain(&origin)?;
        }
        Ok(Self(uri))
    }
}
