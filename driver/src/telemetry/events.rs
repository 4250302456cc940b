//! Events and spans, for `tracing`.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, Uri, header::LOCATION};
use token_refresh_core::{Config, Effect, Notice, Retry, Secret};
use tracing::{Span, debug, debug_span, error, info, info_span, warn};

use super::{Telemetry, words};
use crate::origin::Origin;

/// The target of all events and spans, whatever file they come from.
macro_rules! say {
    ($level:ident, $telemetry:expr, $($rest:tt)*) => {
        $level!(target: "token_refresh", session = $telemetry.session.as_deref(), $($rest)*)
    };
}

pub(super) fn warn(telemetry: &Telemetry, config: &Config) {
    for warning in config.warnings() {
        say!(warn, telemetry, "configuration: {warning}");
    }
}

/// Shows of the address where it leads: its path and its query may hold what no log may show (SEC-04).
pub(super) fn redirected(telemetry: &Telemetry, response: &Response<Bytes>) {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| location.parse::<Uri>().ok());
    // With user and password in it, it leads nowhere.
    let target = target.filter(|target| Origin::of(target).is_some());
    let to = target.and_then(|target| Some(format!("{}://{}", target.scheme()?, target.authority()?)));
    say!(
        warn,
        telemetry,
        status = response.status().as_u16(),
        to,
        "the token endpoint answered with a redirect; set the endpoint to its final address"
    );
}

pub(super) fn span(telemetry: &Telemetry, effect: &Effect) -> Span {
    let session = telemetry.session.as_deref();
    match effect {
        Effect::Exchange { refresh, .. } => {
            let refresh_token = refresh.as_ref().map(keyed_hash);
            info_span!(target: "token_refresh", "exchange", session, refresh_token)
        }
        Effect::Revoke { refresh } => {
            debug_span!(target: "token_refresh", "revoke", session, refresh_token = keyed_hash(refresh))
        }
        Effect::Load { .. } => debug_span!(target: "token_refresh", "load", session),
        Effect::Commit { expected, .. } => {
            debug_span!(target: "token_refresh", "commit", session, expected = expected.0)
        }
    }
}

/// Tells in a log of this process whether two presentations were of the same refresh token, and tells nobody anything
/// else: the key is drawn when the process starts, and is never shown (OBS-01).
fn keyed_hash(token: &Secret) -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    format!("{:016x}", KEY.hash_one(token.expose()))
}

pub(super) fn log(telemetry: &Telemetry, notice: &Notice) {
    match *notice {
        Notice::ExchangeStarted { exchange } => say!(
            debug,
            telemetry,
            epoch = exchange.epoch.0,
            trigger = words::trigger(exchange.trigger),
            presentation = exchange.presentation,
            replaces = exchange.replaces.map(display),
            "exchange started"
        ),
        Notice::ExchangeEnded { exchange, error: None, took } => say!(
            info,
            telemetry,
            epoch = exchange.epoch.0,
            trigger = words::trigger(exchange.trigger),
            presentation = exchange.presentation,
            replaces = exchange.replaces.map(display),
            class = words::class(None),
            took_ms = millis(took),
            "exchange ended"
        ),
        Notice::ExchangeEnded { exchange, error, took } => say!(
            warn,
            telemetry,
            epoch = exchange.epoch.0,
            trigger = words::trigger(exchange.trigger),
            presentation = exchange.presentation,
            replaces = exchange.replaces.map(display),
            class = words::class(error),
            took_ms = millis(took),
            "exchange ended without a grant"
        ),
        Notice::AnsweredLate { exchange, error, took } => say!(
            warn,
            telemetry,
            epoch = exchange.epoch.0,
            presentation = exchange.presentation,
            replaces = exchange.replaces.map(display),
            class = words::class(error),
            took_ms = millis(took),
            "exchange answered after it had been given up"
        ),
        Notice::Installed { id, replaces, origin, released } => say!(
            info,
            telemetry,
            token = display(id),
            replaces = replaces.map(display),
            origin = words::origin(origin),
            released,
            "new access token"
        ),
        Notice::ScopeChanged { id } => say!(info, telemetry, token = display(id), "scope changed"),
        Notice::RefreshFailed { failure, released } => say!(
            warn,
            telemetry,
            kind = words::kind(failure.kind),
            retry_at_ms = match failure.retry {
                Retry::At(instant) => Some(instant.as_millis()),
                Retry::Never => None,
            },
            released,
            "refresh failed"
        ),
        Notice::SessionLost { epoch, kind } => {
            say!(error, telemetry, epoch = epoch.0, kind = words::kind(kind), "session lost: sign in again");
        }
        Notice::LateRefusal { id } => say!(debug, telemetry, token = display(id), "late refusal"),
        Notice::Fruitless { id } => {
            say!(warn, telemetry, token = display(id), "fresh token refused before anybody accepted it");
        }
        Notice::BreakerOpened { until } => {
            say!(warn, telemetry, until_ms = until.as_millis(), "breaker opened");
        }
        Notice::StoreFailed { operation } => {
            say!(warn, telemetry, operation = words::operation(operation), "store unavailable");
        }
        Notice::CommitConflict => say!(debug, telemetry, "another process wrote the record first"),
        Notice::ClaimAwaited { waited } => {
            say!(debug, telemetry, waited_ms = millis(waited), "waited for the claim of another process");
        }
        Notice::SaveDelayed => say!(warn, telemetry, "new grant not saved yet, used from memory"),
        Notice::Saved => say!(info, telemetry, "delayed grant saved"),
        Notice::Superseded => say!(info, telemetry, "grant in hand dropped for a newer one in the store"),
        Notice::TakenOver => say!(warn, telemetry, "claim of a silent process taken over"),
        Notice::Orphaned => say!(info, telemetry, "grant for an ended session: revoked, not used"),
        // The enumeration is non-exhaustive across crates.
        _ => {}
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
