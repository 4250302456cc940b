//! The clocks of the standard library.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Milliseconds of the monotonic clock.
pub(super) fn mono() -> i64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    saturating(START.elapsed())
}

/// Milliseconds of Unix time by the wall clock.
pub(super) fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => saturating(since),
        Err(before) => saturating(before.duration()).saturating_neg(),
    }
}

fn saturating(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
