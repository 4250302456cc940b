use alloc::{boxed::Box, string::String};
use core::{fmt, mem};

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A token, a client secret or anything else that must not be seen.
///
/// `Debug` prints `Secret(..)`, there is no `Display` and no serialisation, equality takes the same time wherever the
/// two values differ, and the memory is cleared on drop. [`expose`](Secret::expose) is the only way out (SEC-04).
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes ownership of the text. It is copied only if its buffer is larger than it is, and then the buffer is
    /// cleared.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = Zeroizing::new(text.into());
        // A buffer that the allocator shrinks may be moved, and what it leaves behind is not cleared.
        let exact =
            if text.len() == text.capacity() { mem::take(&mut *text) } else { String::from(text.as_str()) };
        Self(Zeroizing::new(exact.into_boxed_str()))
    }

    /// The text itself. Keep the borrow short, and never format it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is a value that may stand in an `Authorization` field: one or more visible ASCII characters
    /// (AUTH-03).
    pub fn is_token(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether this is a value that may stand in a token request, where a space may stand as well: one or more printable
    /// ASCII characters (RFC 6749 A.17).
    pub(crate) fn is_printable(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| matches!(byte, b' '..=b'~'))
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

/// So that a program that keeps its secrets in the `secrecy` crate never spells them out itself.
#[cfg(feature = "secrecy")]
impl From<secrecy::SecretString> for Secret {
    fn from(secret: secrecy::SecretString) -> Self {
        Self::from(&secret)
    }
}

#[cfg(feature = "secrecy")]
impl From<&secrecy::SecretString> for Secret {
    fn from(secret: &secrecy::SecretString) -> Self {
        Self::new(secrecy::ExposeSecret::expose_secret(secret))
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
    fn sec_04_other_secrets_are_not_equal() {
        assert_eq!(Secret::from("hunter2"), Secret::from("hunter2"));
        for other in ["", "hunter", "hunter3", "hunter22"] {
            assert_ne!(Secret::from("hunter2"), Secret::from(other), "{other}");
        }
    }

    #[test]
    fn sec_04_a_buffer_that_is_too_large_is_not_kept() {
        let mut text = alloc::string::String::with_capacity(64);
        text.push_str("hunter2");
        assert_eq!(Secret::new(text).expose(), "hunter2");
        assert_eq!(core::mem::size_of::<Secret>(), 2 * core::mem::size_of::<usize>());
    }

    #[test]
    #[cfg(feature = "secrecy")]
    fn secrets_of_the_secrecy_crate_are_taken() {
        let secret = secrecy::SecretString::from("hunter2");
        assert_eq!(Secret::from(&secret), Secret::from("hunter2"));
        assert!(crate::Grant::new(secret).is_ok());
    }

    #[test]
    fn auth_03_only_visible_ascii_is_a_token() {
        assert!(Secret::from("abc.DEF-123_~+/==").is_token());
        for bad in ["", "a b", "a\r\nX: y", "tab\t", "nul\0", "caf\u{e9}", "del\u{7f}"] {
            assert!(!Secret::from(bad).is_token(), "{bad:?}");
        }
    }
}
