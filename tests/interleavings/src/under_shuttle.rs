//! The driver under shuttle.
#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused,
    reason = "it is a copy"
)]

include!(concat!(env!("OUT_DIR"), "/shuttle/src/lib.rs"));

mod async_loop;
mod blocking_loop;
mod world;
