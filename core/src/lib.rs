//! A sans-IO, `no_std` state machine that refreshes an access token exactly once and answers everybody who waits for it.
//!
//! ```text
//!              acquire / reject, refresh due
//!   ┌──────┐ ───────────────────────────────▶ ┌──────────────────────────────────────────────────┐
//!   │ Idle │                                  │ Refreshing                                       │
//!   └──────┘ ◀─────────────────────────────── │  Load ─┬─▶ Claim ─▶ Exchange ─▶ Save ─▶ Publish  │
//!      ▲          Publish, then Resolve*      │        └─▶ adopt what another process stored     │
//!      │                                      └──────────────────────────────────────────────────┘
//!      │ sign_in, reset,                         │ a step fails: Resolve*(Err)   ▲
//!      │ retry time passed                       ▼                              │ look again,
//!      │               ┌──────────────────────────────┐                         │ pay what is owed
//!      └────────────── │ Failed(kind, Never | At t)   │ ────────────────────────┘
//!                      └──────────────────────────────┘
//! ```
//!
//! Without a store ([`Persistence::Memory`]) a run is `Exchange` alone. With a store that other processes use too
//! ([`Persistence::Shared`]) the refresh token is claimed by compare-and-set before it is presented, so that two
//! processes never present it twice. The arrows are those of the committed table `tests/transitions.txt`:
//! Idle → Refreshing, Idle → Failed, Refreshing → Idle, Refreshing → Failed, Failed → Idle, Failed → Refreshing.
//! With a store the steps of a run are these:
//!
#![doc = include_str!("../docs/states.svg")]
//!
//! And this becomes of the [`Record`] that processes share. Each arrow is one commit, found by letting two machines use
//! one store, of which either may die, stall, or lose an answer at any time:
//!
#![doc = include_str!("../docs/claims.svg")]
//!
//! Nobody clears the claim of another. Who finds one waits for a term, in which an answer would have come, and then
//! claims over it, if the [`AmbiguousPolicy`] lets the refresh token be presented again. A grant from a presentation
//! that was not the only one rests for a term, for the other may still be under way.
//!
//! # The driver's loop
//!
//! The machine decides everything and does nothing: a *driver* gives it commands, completions and the time, and does
//! what it says. This one runs a whole refresh:
//!
//! ```
//! use token_refresh_core::*;
//!
//! fn clock() -> Timestamp {
//!     Timestamp::from_millis(1_800_000_000_000) // a real driver reads its clock here
//! }
//! fn ask_the_server(_refresh: Option<&Secret>) -> Result<Grant, ExchangeError> {
//!     let grant = Grant::new("at-2").and_then(|grant| grant.with_refresh_token("rt-2"));
//!     grant.map_err(|_| ExchangeError::Ambiguous { retry_after: None }) // a real driver sends one request here
//! }
//!
//! let mut machine = Machine::new(Config::default(), 0x5eed, clock())?;
//! machine.sign_in(Grant::new("at-1")?.with_refresh_token("rt-1")?, clock());
//! let refused = machine.current().expect("signed in").id;
//!
//! // A request was answered with 401: its token is refused, and the caller waits for a newer one.
//! let Acquire::Wait(me) = machine.reject(refused, clock()) else { unreachable!() };
//!
//! // Drain after every call: tell callers first, then start the effect; feed its answer back.
//! let mut served = None;
//! while let Some(action) = machine.poll_action() {
//!     match action {
//!         Action::Publish(_) => {} // what callers may read without asking the machine
//!         Action::Resolve { waiter, outcome } if waiter == me => served = Some(outcome),
//!         Action::Resolve { .. } | Action::Notify(_) => {}
//!         Action::Run(Effect::Exchange { ticket, refresh, .. }) => {
//!             let sent_at = clock();
//!             let result = ask_the_server(refresh.as_ref());
//!             machine.handle_event(Event::Exchanged { ticket, sent_at, result }, clock())?;
//!         }
//!         Action::Run(Effect::Load { .. } | Effect::Commit { .. }) => unreachable!("there is no store"),
//!         Action::Run(Effect::Revoke { .. }) => {} // best effort
//!     }
//! }
//! assert_eq!(served.expect("resolved")?.access_token, Secret::from("at-2"));
//!
//! // A late 401 of the old token starts nothing: the new one is served at once.
//! assert!(matches!(machine.reject(refused, clock()), Acquire::Ready(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The driver's duties
//!
//! 1. **Drain after every call**, until [`poll_action`](Machine::poll_action) says `None`. `Publish` and `Resolve` may be
//!    done under the lock that guards the machine; effects must not.
//! 2. **Hand each effect to a thread or task of its own**, which no caller can cancel: the popped effect is the baton.
//!    Whoever runs it feeds the answer back and drains again. If it dies, say [`Event::Abandoned`].
//! 3. **Exchange: connect, look at the clock, write, once.** After `send_by` nothing may leave any more. No redirects,
//!    no retries. Tell [`NotSent`](ExchangeError::NotSent) from [`Ambiguous`](ExchangeError::Ambiguous): the one is
//!    harmless, the other may have cost a refresh token.
//! 4. **Commit durably and linearizably before answering.** A load may be stale, a commit may not.
//! 5. **With a shared store, call [`handle_timeout`](Machine::handle_timeout) when [`poll_timeout`](Machine::poll_timeout)
//!    says so**, or wait for [`is_settled`](Machine::is_settled) before the process ends: an unsaved grant, a tombstone
//!    or a claim may be owed to the store. Callers themselves need no timer.
//! 6. **Give a time that does not run slower than the world**: Unix time that counts suspend (TIME-04).
//! 7. **Seed each machine at random.**
//!
//! # Cancel safety
//!
//! A caller who gives up is taken out of the queue by [`cancel`](Machine::cancel), and that is all that happens. The
//! refresh belongs to the session, not to a caller: it runs to its end, and its result is kept, if nobody is left.
//!
//! # What this crate does not do
//!
//! No sockets, no clock, no threads, no locks, no logging, no HTTP types. It does not obtain the first grant, does not
//! validate tokens, and does not look into them: an access token is opaque (RFC 9068 §6).
//!
//! # Features
//!
//! - none by default.
//! - `secrecy`: a [`Secret`] is made of a `SecretString` of the `secrecy` crate.
//! - `wire`: the OAuth 2 and JSON wire formats as pure functions, still `no_std`.
//!
//! # Requirement ids
//!
//! Ids such as `CORE-14` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from. `rule 7` is a rule of the claim protocol, explained where `protocol.rs` of
//! `token-refresh-core` applies it.
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
#[cfg(feature = "wire")]
pub mod wire;

pub use crate::{
    config::{
        AmbiguousPolicy, Backoff, Config, ConfigError, ConfigWarning, Margin, Persistence, Rate, Renewal,
    },
    failure::{Cause, Failure, FailureKind, Misuse, Retry},
    io::{
        Acquire, Action, CommitError, Effect, Event, Exchange, ExchangeError, Notice, Origin, Outcome, Scope,
        StoreError, StoreOperation, Ticket, Trigger, WaiterId,
    },
    machine::{Machine, State},
    record::{Body, Claimant, Holder, Record, SessionId, Stored, Version},
    secret::Secret,
    time::Timestamp,
    token::{Epoch, Generation, Grant, InvalidGrant, Snapshot, TokenId, TokenType},
};
