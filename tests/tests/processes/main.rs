//! Real processes that share one refresh token through a real store, and real servers on 127.0.0.1.
//!
//! A test starts processes, holds them where it wants them, kills them or stops them there, and looks at three things
//! in the end: how often each refresh token reached the server, what the callers got, and what the record holds. Only
//! the term of a claim is waited for in real time.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod clocks;
mod databases;
mod identities;
mod kills;
mod outages;
mod pauses;
#[allow(dead_code, reason = "the fleet needs more of it")]
#[path = "../../examples/fleet/place.rs"]
mod place;
mod process;
mod races;
mod readers;
mod stage;
mod world;

/// Not a test: the other tests start it as a process of its own.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    child::run();
}
