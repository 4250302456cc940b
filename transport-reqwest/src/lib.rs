#![doc = include_str!("../README.md")]
//!
//! # Requirement ids
//!
//! Ids such as `CORE-14` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from.
#![forbid(unsafe_code)]

mod answer;
mod attempts;
mod client;
#[doc = include_str!("../docs/coming-from.md")]
pub mod coming_from {}
mod content;
mod error;
#[cfg(feature = "middleware")]
mod middleware;
mod redirects;
mod session;
mod template;
mod transport;

pub use reqwest;
pub use token_refresh_driver::{
    self as driver, AllowedOrigins, BuildError, Cause, Endpoint, Grant, JsonProfile, OAuthProfile, Profile,
    Refusal, Replay, Rules, Secret, Session, StepUp, TokioRuntime, WithoutToken, wire,
};

pub use crate::{
    client::{AuthClient, AuthRequestBuilder, ResponseFuture, SendWith},
    content::Content,
    error::Error,
    session::{SessionError, session},
    transport::ReqwestTransport,
};
