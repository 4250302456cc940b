//! The machine of this workspace as a program that speaks the kit's protocol (`PROTOCOL.md`):
//!
//! ```text
//! cargo build --example core_machine
//! token-refresh-conformance machine -- target/debug/examples/core_machine
//! ```
//!
//! A machine in Rust needs no process of its own to be tested (`conformance!` does that); this one shows that the kit
//! finds the same on both sides of a pipe, and answers by hand what a dialogue looks like.

use std::io::{stdin, stdout};

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::profile::Profile;
use token_refresh_conformance::protocol::serve;

fn main() -> std::io::Result<()> {
    serve::<CoreSubject>("token-refresh-core", &Profile::default(), stdin().lock(), stdout().lock())
}
