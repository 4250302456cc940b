//! What is special about reqwest: its redirects, its content, its futures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cancellation;
mod content;
#[cfg(feature = "middleware")]
mod middleware;
mod redirects;
mod requests;
mod support;
