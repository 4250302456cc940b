use std::net::{Ipv4Addr, Ipv6Addr};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// The origins that an access token may be sent to (SEC-01, SEC-02). Empty means none.
///
/// Scheme, host and port are compared as RFC 9110 §4.3.1 has it: the host in any case, and 443 is the port of an
/// `https` origin that names none. What could be read in two ways is not permitted: userinfo in the target, a host
/// with a dot at its end, an address in a spelling other than the usual one.
///
/// ```
/// use token_refresh_driver::AllowedOrigins;
///
/// let origins = AllowedOrigins::none().https("https://api.example.com")?.https("https://*.shop.example")?;
/// let permits = |target: &str| origins.permits(&target.parse().unwrap());
/// assert!(permits("https://API.example.com:443/v1/things?page=2"));
/// assert!(permits("https://eu.shop.example/"));
/// assert!(!permits("https://shop.example/") && !permits("https://a.eu.shop.example/"));
/// assert!(!permits("http://api.example.com/") && !permits("https://api.example.com@evil.example/"));
/// # Ok::<(), token_refresh_driver::OriginError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<Pattern>);

/// A pattern that does not name origins to which a token could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Not a scheme and a host, or more than that.
    #[error(
        "not an origin; write scheme, host and perhaps port, and nothing else: https://api.example.com:8443"
    )]
    NotAnOrigin,
    /// Not `https`.
    #[error(
        "a token may travel over https only; write https://, or use loopback_http for a loopback address"
    )]
    NotHttps,
    /// Not `http` to a loopback address.
    #[error("not http to a loopback address; write http://127.0.0.1 or http://[::1], perhaps with a port")]
    NotLoopback,
    /// A wildcard at a wrong place.
    #[error("a wildcard stands for the first label, with two or more after it: https://*.example.com")]
    Wildcard,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// As it was written, which is how targets mostly are: then nothing has to be taken apart.
    written: Authority,
    https: bool,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Name(String),
    /// Any one label before this.
    OneLabelBefore(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl AllowedOrigins {
    /// No origin.
    pub fn none() -> Self {
        Self::default()
    }

    /// And this one: `https://api.example.com`, or any one label before a name, `https://*.example.com:8443`. A name
    /// outside ASCII is written as it travels: `xn--…`.
    ///
    /// # Errors
    /// [`OriginError`]; its text says what to write instead.
    pub fn https(self, pattern: &str) -> Result<Self, OriginError> {
        self.and(pattern, |origin| if origin.https { Ok(()) } else { Err(OriginError::NotHttps) })
    }

    /// And this one, `http` to a loopback address: `http://127.0.0.1:8080`. For development and tests.
    ///
    /// # Errors
    /// [`OriginError`]; its text says what to write instead.
    pub fn loopback_http(self, origin: &str) -> Result<Self, OriginError> {
        self.and(origin, |origin| {
            if origin.is_loopback() && !origin.https { Ok(()) } else { Err(OriginError::NotLoopback) }
        })
    }

    /// Whether the token may be attached to a request to this target. To be asked again for every hop of a redirect,
    /// and once it was "no", not again in that chain (SEC-03).
    pub fn permits(&self, target: &Uri) -> bool {
        self.0.iter().any(|pattern| pattern.is_written_in(target))
            || Origin::of(target).is_some_and(|origin| self.0.iter().any(|pattern| pattern.matches(&origin)))
    }

    fn and(
        mut self,
        text: &str,
        check: impl FnOnce(&Origin<'_>) -> Result<(), OriginError>,
    ) -> Result<Self, OriginError> {
        let uri: Uri = text.parse().map_err(|_| OriginError::NotAnOrigin)?;
        // A fragment would be dropped silently.
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
            return Err(OriginError::NotAnOrigin);
        }
        let origin = Origin::of(&uri).ok_or(OriginError::NotAnOrigin)?;
        check(&origin)?;
        let written = uri.authority().cloned().ok_or(OriginError::NotAnOrigin)?;
        self.0.push(Pattern::new(written, &origin)?);
        Ok(self)
    }
}

impl Pattern {
    fn new(written: Authority, origin: &Origin<'_>) -> Result<Self, OriginError> {
        let host = match origin.host {
            Host::V4(address) => HostPattern::V4(address),
            Host::V6(address) => HostPattern::V6(address),
            Host::Name(name) => HostPattern::name(name)?,
        };
        Ok(Self { written, https: origin.https, host, port: origin.port })
    }

    /// Whether the target spells the origin in the same way.
    fn is_written_in(&self, target: &Uri) -> bool {
        let authority = target.authority().map(Authority::as_str);
        authority == Some(self.written.as_str()) && is_https(target) == Some(self.https)
    }

    fn matches(&self, origin: &Origin<'_>) -> bool {
        self.https == origin.https && self.port == origin.port && self.host.matches(origin.host)
    }
}

impl HostPattern {
    fn name(name: &str) -> Result<Self, OriginError> {
        match name.strip_prefix("*.") {
            Some(rest) if !rest.contains('*') && rest.contains('.') => Ok(Self::OneLabelBefore(rest.into())),
            None if !name.contains('*') => Ok(Self::Name(name.into())),
            Some(_) | None => Err(OriginError::Wildcard),
        }
    }

    fn matches(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::V4(known), Host::V4(address)) => *known == address,
            (Self::V6(known), Host::V6(address)) => *known == address,
            (Self::Name(known), Host::Name(name)) => name.eq_ignore_ascii_case(known),
            (Self::OneLabelBefore(known), Host::Name(name)) => name
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(known)),
            (Self::Name(_) | Self::OneLabelBefore(_), Host::V4(_) | Host::V6(_))
            | (Self::V4(_), Host::Name(_) | Host::V6(_))
            | (Self::V6(_), Host::Name(_) | Host::V4(_)) => false,
        }
    }
}

/// Where a URI leads (RFC 9110 §4.3.1).
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) https: bool,
    host: Host<'a>,
    port: u16,
}

#[derive(Clone, Copy)]
enum Host<'a> {
    /// In any case.
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Origin<'a> {
    /// `None` unless it is plain where the URI leads: `http` or `https`, a host, and no userinfo.
    pub(crate) fn of(uri: &'a Uri) -> Option<Self> {
        let https = is_https(uri)?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        // What is left beside the host is nothing or a port; userinfo would stand before it.
        let port = match uri.authority()?.as_str().strip_prefix(host)? {
            "" if https => 443,
            "" => 80,
            // Digits only, since a sign would be understood too.
            port => port
                .strip_prefix(':')
                .filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?
                .parse()
                .ok()?,
        };
        Some(Self { https, host: Host::parse(host)?, port })
    }

    /// Whether it is on this machine. A name is not: a resolver decides what it means.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.host {
            Host::Name(_) => false,
            Host::V4(address) => address.is_loopback(),
            Host::V6(address) => address.is_loopback(),
        }
    }
}

/// `None` if it is neither `http` nor `https`.
fn is_https(uri: &Uri) -> Option<bool> {
    match uri.scheme()? {
        scheme if *scheme == Scheme::HTTPS => Some(true),
        scheme if *scheme == Scheme::HTTP => Some(false),
        _ => None,
    }
}

impl<'a> Host<'a> {
    fn parse(host: &'a str) -> Option<Self> {
        if let Some(address) = host.strip_prefix('[') {
            return address.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        Some(host.parse().map_or(Self::Name(host), Self::V4))
    }
}
