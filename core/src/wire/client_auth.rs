use alloc::{string::String, vec, vec::Vec};

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::Secret;

/// How the client authenticates at the token endpoint. One method per request, and no probing of others: a refresh
/// token that rotates must not be spent on finding out (XREQ-02; RFC 6749 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Not at all: a public client, which only names itself (RFC 6749 §3.2.1).
    None {
        /// The client identifier.
        client_id: String,
    },
    /// In the `Authorization` field (RFC 6749 §2.3.1).
    Basic {
        /// The client identifier.
        client_id: String,
        /// The client secret.
        client_secret: Secret,
    },
    /// In the body (RFC 6749 §2.3.1), for servers that cannot do better.
    Post {
        /// The client identifier.
        client_id: String,
        /// The client secret.
        client_secret: Secret,
    },
    /// By a JWT that the client has signed (RFC 7523 §2.2), known as `private_key_jwt` and `client_secret_jwt`. It is good
    /// for one request: the next needs a new one (XREQ-09).
    Assertion {
        /// The client identifier.
        client_id: String,
        /// The JWT.
        assertion: Secret,
    },
}

impl ClientAuth {
    /// Whether the request proves who the client is.
    pub(super) fn authenticates(&self) -> bool {
        !matches!(self, Self::None { .. })
    }

    /// What the request's body has to say about the client.
    pub(super) fn parameters(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::None { client_id } => vec![("client_id", client_id)],
            Self::Basic { .. } => vec![],
            Self::Post { client_id, client_secret } => {
                vec![("client_id", client_id), ("client_secret", client_secret.expose())]
            }
            Self::Assertion { client_id, assertion } => vec![
                ("client_id", client_id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose()),
            ],
        }
    }

    /// The value of the `Authorization` field, if the method has one.
    pub(super) fn authorization(&self) -> Option<Secret> {
        let Self::Basic { client_id, client_secret } = self else { return None };
        // Form-encoded first, or an identifier with a colon could not be told from one without (XREQ-03).
        let secret = client_secret.expose();
        let room = client_id.len().saturating_add(secret.len()).saturating_mul(3).saturating_add(1);
        let mut pair = Zeroizing::new(String::with_capacity(room));
        pair.extend(form_urlencoded::byte_serialize(client_id.as_bytes()));
        pair.push(':');
        pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));

        let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
        Some(Secret::new(["Basic ", encoded.as_str()].concat()))
    }
}
