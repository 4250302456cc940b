//! What the kit and a client say to each other: JSON, one message a line. `PROTOCOL.md` describes it for implementers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the protocol that this kit speaks.
pub const VERSION: u32 = 1;

/// Longest line of a program, in bytes.
pub(super) const MAX_LINE: u64 = 4 * 1024 * 1024;

/// The first line of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstOfProgram {
    /// Who it is.
    pub hello: Hello,
}

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version that it speaks.
    pub version: u32,
    /// What it is able to do.
    pub can: Vec<Ability>,
}

/// What not every client is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// The refresh grant of RFC 6749 §6.
    Oauth,
    /// `{ "refresh_token": … }` to an endpoint of one's own.
    Json,
    /// The same with the refresh token in a cookie.
    Cookie,
    /// The client credentials grant of RFC 6749 §4.4.
    ClientCredentials,
    /// Authenticates with `Authorization: Basic`.
    Basic,
    /// Authenticates with members of the form.
    Post,
    /// Ends a session.
    SignOut,
    /// Revokes the refresh token of a session that ends (RFC 7009).
    Revoke,
    /// Takes back a request that waits.
    Cancel,
    /// Sends content from a stream that can be read once.
    Stream,
    /// Shares the credential with other processes, and keeps it, in a file.
    Store,
    /// Bounds how many requests wait for a token.
    Queue,
}

/// The first line of the kit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FirstOfKit {
    /// What the client is to be made of.
    pub settings: Settings,
}

/// What a client is to be made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// How a new token is got.
    pub profile: Profile,
    /// Where.
    pub token_endpoint: String,
    /// Where a refresh token is revoked (RFC 7009).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// `client_id`, where the profile has one.
    pub client_id: String,
    /// `client_secret`, if the client authenticates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// How it authenticates.
    pub client_auth: ClientAuth,
    /// The origins that may get the token, all of them `http` on a loopback address.
    pub origins: Vec<String>,
    /// The file that keeps the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// How long a request may wait for a token.
    pub time_limit_ms: u64,
    /// How long one token request may take.
    pub exchange_limit_ms: u64,
    /// How many requests may wait for a token.
    pub max_waiting: usize,
}

/// How a new token is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// See [`Ability::Oauth`].
    Oauth,
    /// See [`Ability::Json`].
    Json,
    /// See [`Ability::Cookie`].
    Cookie,
    /// See [`Ability::ClientCredentials`].
    ClientCredentials,
}

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Not at all: it says its `client_id` in the form.
    None,
    /// See [`Ability::Basic`].
    Basic,
    /// See [`Ability::Post`].
    Post,
}

/// Every other line of the kit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// What the answer is to carry; never used twice.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub what: What,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Send a request, with the token of the session that there is now.
    Send(Request),
    /// These are the tokens of the user who is signed in from now on.
    SignIn(Tokens),
    /// Nobody is signed in from now on.
    SignOut {},
    /// Whoever sent the request with this id does not want its answer any more.
    Cancel(u64),
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its target.
    pub url: String,
    /// Its fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its content, from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its content, from a stream that can be read once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// The tokens of a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// The refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// How many seconds the access token lives from now on, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// Every other line of a program: what became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The id of the command.
    pub id: u64,
    /// The status of the answer that the caller gets; with [`failed`](Self::failed) of the refusal, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The content of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Why the caller is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Cause>,
    /// All that the error shows of itself, its causes and its debugging form included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a caller is not served (OBS-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The user has to sign in.
    NeedsSignIn,
    /// There is no token just now; it will pass.
    Transient,
    /// The operator has to mend something.
    Misconfigured,
    /// The refresh token may be spent.
    Uncertain,
    /// The refresh works, and its tokens are refused.
    RefusedAfterRefresh,
    /// The caller has taken the request back.
    Cancelled,
    /// The request itself failed; the token is not to blame.
    Http,
    /// The client does not know.
    Unknown,
}
