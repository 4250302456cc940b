//! Hundreds of callers, tokens that die five times a second, and faults at every edge, for as long as you like.
//!
//! `cargo run --release -p token-refresh-conformance --example soak -- --help`
//!
//! ```text
//!   run.rs ── three lanes, one for each adapter           lane.rs
//!     │         callers: threads or tasks                  callers.rs
//!     │         two sessions on one file                   chaos.rs, around the store
//!     │         authorization server, API                  chaos.rs, in their scripts
//!     │         judge of what the servers saw              judge.rs
//!   summary.rs
//! ```

mod callers;
mod chaos;
mod judge;
mod lane;
mod options;
#[allow(dead_code, reason = "the fleet needs more of it")]
#[path = "../fleet/rng.rs"]
mod rng;
mod run;
mod stalls;
mod summary;

use std::process::ExitCode;

use crate::options::Options;

/// 0: nothing happened that must not. 1: a violation. 2: the run did not take place.
fn main() -> ExitCode {
    let done = match Options::read() {
        Ok(Some(options)) => run::run(&options),
        Ok(None) => {
            print!("{}", options::HELP);
            Ok(true)
        }
        Err(error) => {
            eprintln!("soak: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}
