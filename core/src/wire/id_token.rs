use alloc::{string::String, vec::Vec};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

use crate::wire::json::{Object, unquote};

/// Whose ID Tokens a session may be given (OIDC Core 1.0 §12.2, XRSP-08): those of the user who signed in.
///
/// The signature is not looked at: the answer comes from the token endpoint itself, over TLS (§3.1.3.7 item 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenSubject {
    issuer: String,
    subject: String,
    audience: String,
}

impl IdTokenSubject {
    /// The `iss` and the `sub` of the ID Token that came with the sign-in, and the audience that must be in `aud`,
    /// which is the client identifier.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into(), audience: audience.into() }
    }

    /// Whether this ID Token is one of theirs. What cannot be read is nobody's.
    pub(super) fn has(&self, id_token: &str) -> bool {
        self.claims(id_token).unwrap_or(false)
    }

    fn claims(&self, id_token: &str) -> Option<bool> {
        let claims = id_token.split('.').nth(1)?;
        let claims = Zeroizing::new(Base64UrlUnpadded::decode_vec(claims).ok()?);
        let claims = Object::parse(&claims)?;
        let text = |name| claims.text(name).ok().flatten();
        let audience = claims.find("aud").ok().flatten()?;
        let audiences = || serde_json::from_str::<Vec<String>>(audience).ok();
        let audiences = unquote(audience).map_or_else(audiences, |one| Some([one].into()))?;
        Some(
            text("iss")? == self.issuer && text("sub")? == self.subject && audiences.contains(&self.audience),
        )
    }
}
