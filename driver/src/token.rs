use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use http::HeaderValue;
use token_refresh_core::{Secret, Snapshot, TokenId};

use crate::{clock::system_time, secret_bytes::header_value};

/// One access token, ready to be attached to requests. Cheap to clone.
///
/// It is read when a request is about to be sent, and the request remembers its [`id`](Self::id) (AUTH-05).
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    snapshot: Arc<Snapshot>,
    header: HeaderValue,
    accepted: AtomicBool,
}

impl Token {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        let header = header(&snapshot);
        Self(Arc::new(Inner { snapshot, header, accepted: AtomicBool::new(false) }))
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    /// `true` the first time only.
    pub(crate) fn first_acceptance(&self) -> bool {
        // A plain read first: all calls but one share the cache line.
        !self.0.accepted.load(Ordering::Relaxed) && !self.0.accepted.swap(true, Ordering::Relaxed)
    }

    /// Names the token without showing it: what [`Session::reject`](crate::Session::reject) and
    /// [`Session::accept`](crate::Session::accept) want to know.
    pub fn id(&self) -> TokenId {
        self.0.snapshot.id
    }

    /// The value of the `Authorization` field (RFC 6750 §2.1), built once for each token and marked sensitive. A clone
    /// shares its memory, which is cleared when the last one is gone.
    pub fn header(&self) -> &HeaderValue {
        &self.0.header
    }

    /// When its life ends, by what the server said; `None` if it did not say. Only a hint: a server may refuse it before
    /// (TIME-05), and the session replaces it before (CORE-16).
    pub fn expires_at(&self) -> Option<SystemTime> {
        system_time(self.0.snapshot.end?)
    }

    /// The scope of the grant, if the server said so (XRSP-06).
    pub fn scope(&self) -> Option<&str> {
        self.0.snapshot.scope.as_deref()
    }

    /// The access token itself.
    pub fn secret(&self) -> &Secret {
        &self.0.snapshot.access_token
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn header(snapshot: &Snapshot) -> HeaderValue {
    let scheme = snapshot.token_type.scheme();
    let token = snapshot.access_token.expose();
    // As large as it gets, because growing would leave copies behind.
    let mut text = String::with_capacity(scheme.len() + 1 + token.len());
    text.extend([scheme, " ", token]);
    // A grant holds visible ASCII only, so there is a value; if not, any server refuses the bare scheme.
    header_value(Secret::new(text)).unwrap_or_else(|| HeaderValue::from_static(scheme))
}
