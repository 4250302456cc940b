use alloc::string::String;
use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A token, a client secret or anything else that must not be seen.
///
/// `Debug` prints `Secret(..)`, there is no `Display` and no serialisation, equality takes the same time wherever the
/// two values differ, and the memory is cleared on drop. [`expose`](Secret::expose) is the only way out (SEC-04).
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text; nothing is copied.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Keep the borrow short, and never format it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is a value that may stand in an `Authorization` field or a token request: one or more visible
    /// ASCII characters (RFC 6749 A.12, A.17; AUTH-03).
    pub fn is_token(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn sec_04_debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(..)");
    }

    #[test]
    fn auth_03_only_visible_ascii_is_a_token() {
        assert!(Secret::from("abc.DEF-123_~+/==").is_token());
        for bad in ["", "a b", "a\r\nX: y", "tab\t", "nul\0", "caf\u{e9}", "del\u{7f}"] {
            assert!(!Secret::from(bad).is_token(), "{bad:?}");
        }
    }
}
