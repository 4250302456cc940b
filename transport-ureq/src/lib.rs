#![doc = include_str!("../README.md")]
//!
//! # Requirement ids
//!
//! Ids such as `RPLY-03` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from.
#![forbid(unsafe_code)]

mod agent;
mod attempts;
mod body;
mod error;
mod middleware;
mod transport;

pub use token_refresh_driver::{
    self as driver, AllowedOrigins, BuildError, Cause, Endpoint, Grant, JsonProfile, OAuthProfile, Profile,
    Refusal, Replay, Rules, Secret, Session, StepUp, WithoutToken, wire,
};
pub use ureq;

pub use crate::{
    agent::AuthAgent,
    body::{OneShot, ReplayBody, Source},
    error::Error,
    middleware::AuthMiddleware,
    transport::UreqTransport,
};

/// A session that refreshes its token with ureq, in memory, with all settings as they come.
///
/// For a store that processes share, a proxy, or other settings there is [`Session::builder`] with a [`UreqTransport`].
///
/// # Errors
/// [`BuildError`]: the operating system gave no random number.
pub fn session(profile: impl Profile + 'static) -> Result<Session, BuildError> {
    Session::builder().blocking(UreqTransport::new(), profile)
}
