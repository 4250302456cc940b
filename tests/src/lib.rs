//! Conformance kit for clients that refresh access tokens.
//!
//! # State machines
//!
//! [`conformance!`] certifies a machine in Rust, and the command-line tool one in any language, over the [`protocol`] of
//! `PROTOCOL.md`: `token-refresh-conformance machine -- ./program`. Both play scripts to it and say which rules of the
//! [`catalogue`] it breaks ([`certify`]).
//!
//! One [`Script`](script::Script) says what happens: who asks, whose token is refused, which answer is lost, who dies.
//! The [`executor`] plays it against machines that implement [`Subject`](subject::Subject), in a world with a virtual
//! clock, a [`store`] and an [`authority`], and writes down a [`History`](history::History) of all that went in and
//! came out. The [`judge`] reads the history, and nothing else, and says which rules it breaks.
//!
//! ```
//! use token_refresh_conformance::{CoreSubject, judge::verdict, script::Script};
//!
//! let script: Script = "
//!     world store=memory server=strict lifetime=5m
//!     A refuses 0         # a request comes back with a 401
//!     A hears well        # the refresh succeeds
//!     A refuses 1         # a second one was under way with the old token
//! ".parse()?;
//! assert_eq!(verdict::<CoreSubject>(&script), []);
//! # Ok::<(), token_refresh_conformance::text::ParseError>(())
//! ```
//!
//! Scripts come from people ([`text`]) or from chance ([`generate`], a proptest strategy); [`shrink`] makes a failing
//! one small. Steps are relative ("the newest token", "the effect that is out"), so that a script from which steps
//! were taken is still a script. What once failed is kept as text in `regressions/`.
//!
//! A judge that accepts everything would be easy to pass: the package `token-refresh-mutants` plants faults in the real
//! core, one at a time, and its test demands that each is rejected by a rule that it breaks.
//!
//! # Requirement ids
//!
//! Ids such as `CORE-04`, `I-02` and `Q1` name requirements, invariants and answers of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md). `rule 7` is a rule of
//! the claim protocol, by which processes share a refresh token: [`judge::statement`] says each.

pub mod adapter;
pub mod authority;
pub mod catalogue;
pub mod certify;
pub mod client;
mod conformance;
mod core_subject;
pub mod executor;
pub mod generate;
pub mod history;
pub mod judge;
mod process;
pub mod profile;
pub mod protocol;
pub mod report;
pub mod script;
pub mod server;
pub mod shrink;
pub mod stage;
pub mod store;
pub mod stores;
pub mod subject;
pub mod text;
pub mod vocabulary;

/// The README's examples are compiled as tests.
#[doc = include_str!("../README.md")]
mod readme {}

/// The program in the README of the core runs here, for it starts servers of the kit.
#[cfg(doctest)]
#[doc = include_str!("../../core/README.md")]
mod readme_of_the_core {}

pub use core_subject::CoreSubject;
