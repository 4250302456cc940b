//! Small worlds of the real machine, explored to the end.
//!
//! The machine is the core itself: its sources as the build script copies them, with no fault planted or with one.
//! A world is one to three of them with a store, a server and a clock. From each state every [`Move`] is
//! made: callers come and go, effects end in each way that the setting allows, time goes on. In each state the rules
//! of safety are checked; a state without moves has to be one of rest; and since the graph has no cycle, every fair
//! run comes to such an end.
//!
//! Processes take no time for a step unless a fault makes them: the clock moves when nobody has anything to do. All
//! randomness is taken out (each draw of jitter is the longest one), and the limits are short.

mod key;
mod process;
mod rules;
mod search;
mod server;
mod setting;
mod world;
pub mod worlds;

pub use search::{Report, explore};
pub use server::Kind;
pub use setting::{Fault, Setting};
pub use world::Move;

/// A rule that a state breaks.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// How.
    pub says: String,
}

fn must(holds: bool, rule: &'static str, says: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { rule, says: says() }) }
}
