//! What is fuzzed: each function takes what a fuzzer found, and panics if a promise is broken.
//!
//! The corpora in `corpus/` are replayed by `tests/corpus.rs` on any toolchain.

mod challenge;
mod record_file;
mod script;
mod token_response;

pub use challenge::challenge;
pub use record_file::record_file;
pub use script::{script, script_text};
pub use token_response::token_response;

/// A target.
pub struct Target {
    /// Also that of its corpus.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "script", run: script },
    Target { name: "script_text", run: script_text },
    Target { name: "token_response", run: token_response },
    Target { name: "challenge", run: challenge },
    Target { name: "record_file", run: record_file },
];
