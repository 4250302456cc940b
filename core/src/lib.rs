//! A sans-IO, `no_std` state machine that refreshes an access token exactly once and answers everybody who waits for it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod failure;
mod io;
mod machine;
mod outbox;
mod pacing;
mod pending;
mod protocol;
mod record;
mod rng;
mod run;
mod secret;
mod time;
mod token;
mod transitions;
mod waiters;
mod watch;

pub use crate::{
    config::{
        AmbiguousPolicy, Backoff, Config, ConfigError, ConfigWarning, Margin, Persistence, Rate, Renewal,
    },
    failure::{Cause, Failure, FailureKind, Misuse, Retry},
    io::{
        Acquire, Action, CommitError, Effect, Event, ExchangeError, Notice, Origin, Outcome, StoreError,
        Ticket, WaiterId,
    },
    machine::{Machine, State},
    record::{Body, Claimant, Holder, Record, SessionId, Stored, Version},
    secret::Secret,
    time::Timestamp,
    token::{Epoch, Generation, Grant, InvalidGrant, Snapshot, TokenId, TokenType},
};
