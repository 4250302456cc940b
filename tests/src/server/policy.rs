//! How the authorization server treats refresh tokens. The rows of real servers are combinations of these.

use std::time::Duration;

use serde_json::Value;

/// The rules of the token endpoint. The default is the strictest that is common: every exchange rotates the refresh
/// token, a spent one has no grace, and presenting it revokes the family (RFC 9700 §4.14.2); the old access token
/// lives on, access tokens end only by order and are announced with an hour, and clients are public.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether an exchange yields a new refresh token.
    pub rotation: Rotation,
    /// How long a rotated refresh token may still be presented.
    pub reuse: Reuse,
    /// What a presentation within this grace yields.
    pub successor: Successor,
    /// What a presentation outside it does.
    pub on_replay: OnReplay,
    /// What an exchange does to the access token before it.
    pub old_access_token: OldAccessToken,
    /// The member `expires_in`, as it is to be written; `None` leaves it out.
    pub expires_in: Option<Value>,
    /// How long an access token really lives, whatever is announced; `None`: until a test ends it.
    pub lifetime: Option<Duration>,
    /// The member `token_type`; `None` leaves it out.
    pub token_type: Option<String>,
    /// What a client has to authenticate with at `/token` and `/revoke`.
    pub client: ClientAuth,
    /// Ends every refresh token value, so that it has to be encoded where it is sent: `+&%=`, say.
    pub refresh_token_tail: String,
    /// The nonce that a `DPoP` proof at `/token` has to carry (RFC 9449 §8); `None` asks for no proof.
    pub dpop_nonce: Option<String>,
    /// Adds an `id_token` for this subject to what `/token` grants. It is not signed.
    pub subject: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rotation: Rotation::Always,
            reuse: Reuse::Refuse,
            successor: Successor::Same,
            on_replay: OnReplay::RevokeFamily,
            old_access_token: OldAccessToken::LivesOn,
            expires_in: Some(Value::from(3600)),
            lifetime: None,
            token_type: Some("Bearer".to_owned()),
            client: ClientAuth::None,
            refresh_token_tail: String::new(),
            dpop_nonce: None,
            subject: None,
        }
    }
}

/// Whether an exchange yields a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// No, and the answer has no refresh token.
    None,
    /// Yes; the one presented is spent.
    Always,
    /// No, and the answer repeats the one presented.
    Same,
}

/// The grace of a spent refresh token. Only the parent of the current grant has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// None.
    Refuse,
    /// For this long after it was first spent.
    Within(Duration),
    /// Until a token of its successor is used: the access token accepted, or the refresh token presented.
    UntilUsed,
    /// This many times.
    Times(u32),
}

/// What a spent refresh token yields within its grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The same tokens as at first.
    Same,
    /// New ones; the refresh token issued last is the only good one.
    New,
}

/// What happens when a spent refresh token is presented outside its grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReplay {
    /// It is not noticed: a spent token is as good as any.
    Ignore,
    /// `invalid_grant`, and nothing else.
    InvalidGrant,
    /// `invalid_grant`, and all tokens of the family are dead.
    RevokeFamily,
    /// `invalid_grant`, and all tokens of all families of the user are dead.
    RevokeUser,
}

/// What an exchange does to the access token before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldAccessToken {
    /// Nothing.
    LivesOn,
    /// Revokes it.
    Dies,
}

/// How a client authenticates (RFC 6749 §2.3.1): what the server demands, and what a request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not at all. As a demand: whatever comes is ignored.
    None,
    /// In an `Authorization: Basic` field.
    Basic {
        /// `client_id`.
        id: String,
        /// `client_secret`.
        secret: String,
    },
    /// In the form.
    Post {
        /// `client_id`.
        id: String,
        /// `client_secret`.
        secret: String,
    },
}
