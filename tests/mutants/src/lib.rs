//! A copy of the core with faults planted in it, each behind a switch.
//!
//! The copy is made of the real sources at build time, so that a fault is a fault of the real machine and nothing has
//! to be kept in step: a fault whose place is no longer found breaks the build.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    unused_imports,
    unused_parens,
    unused_braces,
    unused_variables
)]

use std::cell::Cell;

mod claims;
pub mod explore;
mod table;

pub use claims::{MORE, PROTOCOL};
pub use table::{MUTANTS, Mutant};

include!(concat!(env!("OUT_DIR"), "/core.rs"));

std::thread_local! {
    static PLANTED: Cell<u32> = const { Cell::new(0) };
}

/// Switches this fault on, and every other one off, for machines of this thread. `None`: all off.
pub fn plant(mutant: Option<&Mutant>) {
    let switch = mutant
        .and_then(|mutant| (1..).zip(MUTANTS.iter().chain(MORE)).find(|(_, known)| known.id == mutant.id));
    PLANTED.set(switch.map_or(0, |(switch, _)| switch));
}

fn is_planted(switch: u32) -> bool {
    PLANTED.get() == switch
}

mod subject {
    token_refresh_conformance::core_subject!(
        /// The copy.
        MutantSubject,
        crate
    );
}

pub use subject::MutantSubject;
