//! The driver under loom.
#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused,
    reason = "it is a copy"
)]

include!(concat!(env!("OUT_DIR"), "/loom/src/lib.rs"));

mod hand_off;
mod published_token;
