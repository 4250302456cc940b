//! Runs the machine of `token-refresh-core`: the [`Session`] that a program holds, and the ports through which it
//! reaches an HTTP client, a store and a clock.
//!
//! There is no HTTP client here. A transport crate implements [`Transport`] or [`AsyncTransport`], one function, and gives its
//! users an adapter in the style of their client; everything that must be right only once is in this crate and in the core.
//!
//! # A request, step by step
//!
//! 1. [`AllowedOrigins::permits`] says whether the token may go to the target at all.
//! 2. [`Session::token`] answers at once while the token is good, and waits for the one refresh under way if not.
//! 3. The request carries [`Token::header`] and remembers [`Token::id`].
//! 4. A 401 becomes [`Session::reject`], which answers with a newer token; anything else becomes [`Session::accept`].
//!
//! What waits has a twin for async programs, whose name ends in `_async`; both work on every session, also at the same
//! time. No runtime is asked for: whoever has one says how to spawn and how to sleep ([`Spawn`], [`Sleep`]).
//!
//! # How a new token is asked for
//!
//! A [`Profile`] says how: [`OAuthProfile`], [`JsonProfile`], [`CookieProfile`], or one of your own. Where the endpoints
//! of an OAuth server are, [`Issuer`] finds out. Programs that sign in with the `oauth2` crate hand over its answer with
//! `grant_of` (feature `oauth2`), those that keep secrets with `secrecy` make a [`Secret`] of theirs (feature `secrecy`).
//!
//! # Who runs a refresh
//!
//! Nobody who can give up. A refresh runs on a thread or in a task of its own, which ends with it: callers that time
//! out, are dropped or panic change nothing for the others, and the new token is kept even if no caller is left
//! (CORE-14). An idle session has neither.
//!
//! # What happens
//!
//! [`Session::subscribe`], and with features `tracing` and `metrics` also there, under the names in
//! [this table](https://github.com/token-refresh/token-refresh/blob/main/driver/docs/observability.md).
//!
//! # What is not promised
//!
//! A session does not survive `fork`: the child must build its own.
//!
//! # Requirement ids
//!
//! Ids such as `CORE-14` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from. `rule 7` is a rule of the claim protocol, explained where `protocol.rs` of
//! `token-refresh-core` applies it.
#![forbid(unsafe_code)]

mod async_ports;
mod async_session;
mod asynchronous;
mod attempt;
mod baton;
mod blocking;
mod builder;
mod changed;
mod clock;
mod endpoint;
mod engine;
mod error;
mod limits;
mod manual_clock;
mod metadata;
mod notices;
#[cfg(feature = "oauth2")]
mod oauth2_crate;
mod on_thread;
mod origin;
mod ports;
mod preset;
mod profile;
#[doc = include_str!("../docs/policies.md")]
pub mod policies {}
mod published;
mod revocation;
mod secret_bytes;
mod session;
mod sessions;
mod step_up;
pub mod store;
mod sync;
mod telemetry;
mod timer;
mod token;
#[cfg(feature = "tokio")]
mod tokio_runtime;
mod vigil;
mod wait;

pub use token_refresh_core::{
    AmbiguousPolicy, Backoff, Body, Cause, Claimant, CommitError, Config, ConfigError, ConfigWarning, Epoch,
    Exchange, ExchangeError, Failure, FailureKind, Generation, Grant, Holder, InvalidGrant, Margin, Notice,
    Origin, Rate, Record, Renewal, Retry, Scope, Secret, SessionId, State, StoreError, StoreOperation,
    Stored, Timestamp, TokenId, TokenType, Trigger, Version, wire,
};

#[cfg(feature = "oauth2")]
pub use crate::oauth2_crate::grant_of;
#[cfg(feature = "tokio")]
pub use crate::tokio_runtime::TokioRuntime;
pub use crate::{
    async_ports::{AsyncStore, AsyncTransport, Sleep, Spawn, Task},
    async_session::{SettleFuture, TokenFuture},
    attempt::{Answer, Carried, Replay, ResourceRequest, Rules, Ruling, WithoutToken},
    builder::{BuildError, SessionBuilder},
    changed::Changed,
    clock::{Clock, SystemClock},
    endpoint::{Endpoint, EndpointError},
    error::{Error, Refusal},
    manual_clock::ManualClock,
    metadata::{Issuer, Metadata, MetadataError},
    notices::Subscription,
    origin::{AllowedOrigins, OriginError},
    ports::{Attempt, Profile, Store, Transport, TransportError},
    preset::{ClientSecret, Preset, Rotation},
    profile::{CookieProfile, JsonProfile, OAuthProfile},
    session::Session,
    sessions::Sessions,
    step_up::StepUp,
    token::Token,
};
