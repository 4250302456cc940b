#![doc = include_str!("../README.md")]
//!
//! # Requirement ids
//!
//! Ids such as `CORE-14` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from.
#![forbid(unsafe_code)]

mod auth;
mod body;
mod capture;
mod classify;
mod clone_body;
#[cfg(feature = "client")]
mod connector;
mod error;
mod future;
mod guard;
mod origin_form;
#[cfg(feature = "rt")]
mod rt;
mod service;
mod transport;

pub use token_refresh_driver::{
    self as driver, AllowedOrigins, BuildError, Cause, Endpoint, Grant, JsonProfile, OAuthProfile, Profile,
    Replay, Rules, Secret, Session, StepUp, WithoutToken, wire,
};

#[cfg(feature = "tokio")]
pub use token_refresh_driver::TokioRuntime;

#[cfg(feature = "client")]
pub use crate::connector::HyperTransport;
#[cfg(feature = "rt")]
pub use crate::rt::HyperRuntime;
pub use crate::{
    body::ResponseBody,
    capture::{Capture, Captured},
    classify::{Classify, Grpc, Http401},
    clone_body::{ByClone, CloneBody, IfEmpty},
    error::{Error, NoNewerToken},
    future::ResponseFuture,
    guard::{HopFuture, HopGuard, HopGuardLayer},
    origin_form::origin_form,
    service::{AuthLayer, AuthService},
    transport::ServiceTransport,
};
