use bytes::Bytes;
use http::HeaderValue;
use token_refresh_core::Secret;

/// The bytes of a secret, without a copy. Their memory is cleared when the last clone is gone (SEC-04).
pub(crate) fn bytes(secret: Secret) -> Bytes {
    Bytes::from_owner(Owner(secret))
}

/// A field value that is marked sensitive, so that it is neither shown nor put into a compression table. `None` if it
/// has characters that a field value cannot have.
pub(crate) fn header_value(secret: Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(bytes(secret)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

struct Owner(Secret);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}
