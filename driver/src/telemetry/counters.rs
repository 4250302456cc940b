//! Counters and histograms, through the `metrics` facade.

use std::sync::Arc;

use metrics::{Label, SharedString, Unit, counter, describe_counter, describe_histogram, histogram};
use token_refresh_core::Notice;

use super::{Telemetry, words};

const EXCHANGES: &str = "token_refresh_exchanges_total";
const EXCHANGE_SECONDS: &str = "token_refresh_exchange_seconds";
const LATE_ANSWERS: &str = "token_refresh_late_answers_total";
const TOKENS: &str = "token_refresh_tokens_total";
const WAITERS_JOINED: &str = "token_refresh_waiters_joined_total";
const WAITERS_RELEASED: &str = "token_refresh_waiters_released_total";
const FAILURES: &str = "token_refresh_failures_total";
const SESSIONS_LOST: &str = "token_refresh_sessions_lost_total";
const LATE_REFUSALS: &str = "token_refresh_late_refusals_total";
const FRUITLESS: &str = "token_refresh_fruitless_tokens_total";
const BREAKER_OPENED: &str = "token_refresh_breaker_opened_total";
const STORE_FAILURES: &str = "token_refresh_store_failures_total";
const STORE_CONFLICTS: &str = "token_refresh_store_conflicts_total";
const SAVES_DELAYED: &str = "token_refresh_saves_delayed_total";
const SUPERSEDED: &str = "token_refresh_grants_superseded_total";
const TAKEN_OVER: &str = "token_refresh_claims_taken_over_total";
const CLAIM_WAIT: &str = "token_refresh_claim_wait_seconds";
const ORPHANED: &str = "token_refresh_grants_orphaned_total";

/// What the recorder shows beside the numbers.
pub(super) fn describe() {
    for (name, help) in [
        (EXCHANGES, "Exchanges that ended, by what triggered them and by class of their outcome"),
        (LATE_ANSWERS, "Exchanges that were answered after they had been given up"),
        (TOKENS, "New access tokens, by where they came from"),
        (WAITERS_JOINED, "Callers that had to wait for a refresh"),
        (WAITERS_RELEASED, "Callers that got an answer after a wait, by what they got"),
        (FAILURES, "Refreshes that failed, by kind of failure"),
        (SESSIONS_LOST, "Sessions that ended and need a new sign-in, by kind of failure"),
        (LATE_REFUSALS, "Refusals of tokens that had been replaced before"),
        (FRUITLESS, "Fresh tokens that were refused before anybody had accepted them"),
        (BREAKER_OPENED, "Times that the breaker opened because of fruitless tokens"),
        (STORE_FAILURES, "Calls of the store that had no answer, by operation"),
        (STORE_CONFLICTS, "Commits that found another version in the store"),
        (SAVES_DELAYED, "Grants that were used from memory because they could not be saved in time"),
        (SUPERSEDED, "Grants in hand that were dropped for a newer one in the store"),
        (TAKEN_OVER, "Claims of silent processes that were taken over"),
        (ORPHANED, "Grants that came for a session that had ended"),
    ] {
        describe_counter!(name, Unit::Count, help);
    }
    for (name, help) in [
        (EXCHANGE_SECONDS, "Duration of exchanges, the connection included, by class of their outcome"),
        (CLAIM_WAIT, "Time spent waiting for the claim of another process"),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
    }
}

pub(super) fn joined(telemetry: &Telemetry) {
    counter!(WAITERS_JOINED, labels(telemetry, [])).increment(1);
}

pub(super) fn count(telemetry: &Telemetry, notice: &Notice) {
    let one = |name: &'static str| add(telemetry, name, [], 1);
    match *notice {
        Notice::ExchangeEnded { exchange, error, took } => {
            let class = ("class", words::class(error));
            add(telemetry, EXCHANGES, [("trigger", words::trigger(exchange.trigger)), class], 1);
            histogram!(EXCHANGE_SECONDS, labels(telemetry, [class])).record(took);
        }
        Notice::AnsweredLate { error, .. } => {
            add(telemetry, LATE_ANSWERS, [("class", words::class(error))], 1);
        }
        Notice::Installed { origin, released, .. } => {
            add(telemetry, TOKENS, [("origin", words::origin(origin))], 1);
            add(telemetry, WAITERS_RELEASED, [("outcome", "token")], released);
        }
        Notice::RefreshFailed { failure, released } => {
            add(telemetry, FAILURES, [("kind", words::kind(failure.kind))], 1);
            add(telemetry, WAITERS_RELEASED, [("outcome", "failure")], released);
        }
        Notice::SessionLost { kind, .. } => add(telemetry, SESSIONS_LOST, [("kind", words::kind(kind))], 1),
        Notice::StoreFailed { operation } => {
            add(telemetry, STORE_FAILURES, [("operation", words::operation(operation))], 1);
        }
        Notice::ClaimAwaited { waited } => histogram!(CLAIM_WAIT, labels(telemetry, [])).record(waited),
        Notice::LateRefusal { .. } => one(LATE_REFUSALS),
        Notice::Fruitless { .. } => one(FRUITLESS),
        Notice::BreakerOpened { .. } => one(BREAKER_OPENED),
        Notice::CommitConflict => one(STORE_CONFLICTS),
        Notice::SaveDelayed => one(SAVES_DELAYED),
        Notice::Superseded => one(SUPERSEDED),
        Notice::TakenOver => one(TAKEN_OVER),
        Notice::Orphaned => one(ORPHANED),
        // `ExchangeStarted` and `Saved` are the other halves of what is counted.
        _ => {}
    }
}

fn add<const N: usize>(
    telemetry: &Telemetry,
    name: &'static str,
    of: [(&'static str, &'static str); N],
    number: usize,
) {
    counter!(name, labels(telemetry, of)).increment(number as u64);
}

/// The name of the session comes first, if it has one.
fn labels<const N: usize>(telemetry: &Telemetry, of: [(&'static str, &'static str); N]) -> Vec<Label> {
    let session = telemetry.session.as_ref();
    let session = session.map(|name| Label::new("session", SharedString::from(Arc::clone(name))));
    session.into_iter().chain(of.map(|(name, value)| Label::from_static_parts(name, value))).collect()
}
