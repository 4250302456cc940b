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

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("script", script),
    ("script_text", script_text),
    ("token_response", token_response),
    ("challenge", challenge),
    ("record_file", record_file),
];
