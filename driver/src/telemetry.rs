//! What happens in a session, for `tracing` and for `metrics`: a translation of notices, and a span around each effect.
//!
//! Without the two features nothing of this is left in the program. Names and meaning stand in `docs/observability.md`.
#![cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(unused_variables, clippy::unused_self, reason = "who is not told needs nothing")
)]

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use token_refresh_core::{Effect, Notice};

#[cfg(feature = "metrics")]
mod counters;
#[cfg(feature = "tracing")]
mod events;
#[cfg(any(feature = "metrics", feature = "tracing"))]
mod words;

/// Says what happens in one session. Calls foreign code, so never under a lock.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    /// What the program calls the session.
    pub(crate) session: Option<Arc<str>>,
}

impl Telemetry {
    /// Whether anybody is told. If not, nothing has to be remembered for it.
    pub(crate) const ON: bool = cfg!(any(feature = "metrics", feature = "tracing"));

    /// A session is set up.
    pub(crate) fn built(&self, config: &token_refresh_core::Config) {
        #[cfg(feature = "metrics")]
        counters::describe();
        #[cfg(feature = "tracing")]
        events::warn(self, config);
    }

    /// Something happened.
    pub(crate) fn report(&self, notice: &Notice) {
        #[cfg(feature = "metrics")]
        counters::count(self, notice);
        #[cfg(feature = "tracing")]
        events::log(self, notice);
    }

    /// A caller waits for the refresh under way. There may be very many, so this is no notice.
    pub(crate) fn joined(&self) {
        #[cfg(feature = "metrics")]
        counters::joined(self);
    }

    /// The server answered an exchange with something that the class of the answer does not tell.
    pub(crate) fn answered(&self, response: &Response<Bytes>) {
        #[cfg(feature = "tracing")]
        if response.status().is_redirection() {
            events::redirected(self, response);
        }
    }

    /// Around the work on an effect.
    pub(crate) fn span(&self, effect: &Effect) -> Span {
        Span {
            #[cfg(feature = "tracing")]
            span: events::span(self, effect),
        }
    }
}

/// A span, or nothing.
pub(crate) struct Span {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Span {
    pub(crate) fn in_scope<R>(self, work: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        return self.span.in_scope(work);
        #[cfg(not(feature = "tracing"))]
        work()
    }

    pub(crate) fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        #[cfg(feature = "tracing")]
        return tracing::Instrument::instrument(work, self.span);
        #[cfg(not(feature = "tracing"))]
        work
    }
}
