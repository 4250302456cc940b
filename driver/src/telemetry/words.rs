//! The values of labels and fields. They are an interface: dashboards and alerts go by them.

use token_refresh_core::{ExchangeError, FailureKind, Origin, StoreOperation, Trigger};

pub(super) fn class(error: Option<ExchangeError>) -> &'static str {
    match error {
        None => "granted",
        Some(ExchangeError::NotSent) => "not_sent",
        Some(ExchangeError::Ambiguous { .. }) => "ambiguous",
        Some(ExchangeError::Transient { .. }) => "transient",
        Some(ExchangeError::Unexplained) => "unexplained",
        Some(ExchangeError::Permanent) => "permanent",
        Some(ExchangeError::Interaction) => "interaction",
        Some(ExchangeError::Misconfigured) => "misconfigured",
        Some(ExchangeError::InvalidRequest) => "invalid_request",
        Some(ExchangeError::InvalidScope) => "invalid_scope",
    }
}

pub(super) fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::NoToken => "no_token",
        Trigger::Expiry => "expiry",
        Trigger::Refusal => "refusal",
        Trigger::Reset => "reset",
    }
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::SignIn => "sign_in",
        Origin::Exchange => "exchange",
        Origin::Adoption => "adoption",
    }
}

pub(super) fn operation(operation: StoreOperation) -> &'static str {
    match operation {
        StoreOperation::Load => "load",
        StoreOperation::Commit => "commit",
    }
}

pub(super) fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NoCredentials => "no_credentials",
        FailureKind::SignedOut => "signed_out",
        FailureKind::SessionEnded => "session_ended",
        FailureKind::NoRefreshToken => "no_refresh_token",
        FailureKind::Refused => "refused",
        FailureKind::RefusedAfterAmbiguity => "refused_after_ambiguity",
        FailureKind::Interaction => "interaction",
        FailureKind::Misconfigured => "misconfigured",
        FailureKind::Transient => "transient",
        FailureKind::StoreUnavailable => "store_unavailable",
        FailureKind::RateLimited => "rate_limited",
        FailureKind::Uncertain => "uncertain",
        FailureKind::RefusedAfterRefresh => "refused_after_refresh",
        FailureKind::QueueFull => "queue_full",
        // The enumeration is non-exhaustive across crates.
        _ => "other",
    }
}
