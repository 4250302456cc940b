//! The coarse clocks. Each tick of the kernel, 1 to 10 ms, writes down what both of them are.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Milliseconds of the monotonic clock.
pub(super) fn mono() -> i64 {
    millis(clock_gettime(ClockId::MonotonicCoarse))
}

/// Milliseconds of Unix time by the wall clock.
pub(super) fn wall() -> i64 {
    millis(clock_gettime(ClockId::RealtimeCoarse))
}

fn millis(time: Timespec) -> i64 {
    #[allow(clippy::useless_conversion, reason = "on some targets it is no i64")]
    let nanos = i64::from(time.tv_nsec);
    time.tv_sec.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}
