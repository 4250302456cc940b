//! The protocol between the kit and a state machine in another process: JSON lines, described in `PROTOCOL.md`.
//!
//! The kit writes a [`Request`] in one line and waits for the [`Response`], one line too. [`Program`] is the kit's side
//! of it, [`serve`] that of a machine in Rust.

mod program;
mod running;
mod serve;

use serde::{Deserialize, Serialize};

use crate::profile::Profile;
use crate::subject::Settings;
use crate::vocabulary::{Input, Reply};

pub use program::{Limits, Program, ProgramError};
pub use serve::serve;

/// The version of the protocol that this kit speaks.
pub const VERSION: u32 = 1;

/// What the kit says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// First of all; the answer is [`Response::Hello`].
    Hello {
        /// The version of the protocol.
        version: u32,
    },
    /// A machine begins its life, without memory; the answer is [`Response::Started`].
    Start {
        /// Which: the one that had this number is forgotten.
        process: u8,
        /// What its clock shows.
        now: u64,
        /// Stands for its source of randomness. Below 2^53, so that every language can read it.
        seed: u64,
        /// How it is set up.
        settings: Settings,
    },
    /// A machine is called; the answer is [`Response::Reply`].
    Call {
        /// Which.
        process: u8,
        /// What its clock shows.
        now: u64,
        /// With what.
        input: Input,
    },
}

/// What the program answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    /// To [`Request::Hello`].
    Hello {
        /// The version of the protocol that it speaks.
        version: u32,
        /// What it is called, for reports.
        name: String,
        /// What it knows.
        profile: Profile,
    },
    /// To [`Request::Start`].
    Started,
    /// To [`Request::Call`].
    Reply(Reply),
}

/// Seeds as they travel: whole numbers that a double has room for.
fn portable(seed: u64) -> u64 {
    seed & ((1 << 53) - 1)
}
