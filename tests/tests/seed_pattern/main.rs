//! Why this project exists: sixteen defects of a well-known pattern, and for each a test that this project does not have
//! it.
//!
//! The pattern is an interceptor that is found, with small variations, in a great many programs:
//!
//! ```text
//! a request is answered with 401:
//!     no refresh token?  fail with that 401
//!     subscribers.push(token → send the request again with it)
//!     unless isAlreadyFetching:
//!         isAlreadyFetching = true
//!         POST { refresh_token }
//!         no data?  fail with that 401
//!         save the access token
//!         isAlreadyFetching = false
//!         call the subscribers, then subscribers = []
//! ```
//!
//! What it is after is right, and is kept here: one refresh for everybody who is refused, waiting instead of failing, the
//! original refusal for the caller. But it is written for the one case in which everything goes well.
//!
//! Each test plays one scenario, over real sockets and with servers of its own, and looks at what can be observed. It
//! plays it twice: with [`Naive`](naive::Naive), the pattern in blocking Rust, to show that the defect is real and that
//! the test notices it; and with [`Ours`](ours::Ours), the ureq adapter. What no socket shows, the end of the queue and
//! a demand in the middle of the answers, is asked of the state machine itself.
//!
//! | | |
//! | --- | --- |
//! | [`waiting`] | everybody who waits gets an answer: 1, 2, 5, 6, 12 |
//! | [`refreshing`] | as many refreshes as are needed, and no more: 3, 4, 8, 13, 16 |
//! | [`credentials`] | whose tokens, and which: 7, 9, 15 |
//! | [`requests`] | what is sent, and where to: 10, 11, 14 |
//!
//! A comment gives the defect, its shortest history and the requirements that it breaks. In a history a number names a
//! request, and g1 an access token.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod credentials;
mod naive;
mod ours;
mod refreshing;
mod requests;
mod waiting;
mod world;

use token_refresh_conformance::{adapter::Spec, server::Issued};
use token_refresh_core::Cause;

/// A client that attaches an access token, and refreshes it. Shared by threads.
trait Client: Sync {
    /// Sends a request, and waits for what becomes of it.
    fn send(&self, request: &Spec) -> Answer;

    /// Another user has signed in.
    fn sign_in(&self, tokens: &Issued);

    /// Waits for what still goes on when all callers have their answers.
    fn settle(&self) {}
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The API answered with this status.
    Status(u16),
    /// There is no token that the API would take, and this is what to do about it, if the client knows.
    NoToken(Option<Cause>),
    /// Nothing, and nothing is on its way.
    Hung,
}
