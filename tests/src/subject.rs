//! A state machine under test.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{Input, Reply};

/// A state machine that refreshes an access token, driven by the kit.
///
/// The kit calls one method at a time, and the machine must drain all its outputs into each [`Reply`]. It must be
/// total (any input in any state) and deterministic (same calls, same replies).
///
/// `now` is what the machine's clock shows, in milliseconds of Unix time. It may go back, and differ between machines.
pub trait Subject {
    /// A new machine that knows no credential. `seed` stands for its source of randomness; no two machines of a
    /// script get the same one.
    fn start(settings: &Settings, seed: u64, now: u64) -> Self;

    /// One call.
    fn call(&mut self, input: &Input, now: u64) -> Reply;
}

/// How a machine is set up. The judge computes its expectations from the same values. Spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether the credential lives in a store that other machines use too.
    pub shared: bool,
    /// Whether an exchange needs no refresh token.
    pub ambient: bool,
    /// What to do with a refresh token whose fate is unknown.
    pub policy: Policy,
    /// How many callers may wait.
    pub max_waiters: usize,
    /// Distance of the soft end from the end.
    pub soft_margin: Margin,
    /// Distance of the hard end from the end.
    pub hard_margin: Margin,
    /// By how much the soft end may come earlier, at random, drawn once for each token.
    pub jitter: Margin,
    /// L: how long one exchange may take, from its first byte to the last of the answer.
    pub exchange_limit: u64,
    /// M: how long a machine tries again to save a grant before it goes on with it in memory.
    pub save_limit: u64,
    /// S: how long after the decision the first byte of an exchange may leave.
    pub send_limit: u64,
    /// By how much the clocks of two machines may differ.
    pub skew: u64,
    /// The first delay after a failure.
    pub backoff_base: u64,
    /// The greatest delay after a failure.
    pub backoff_cap: u64,
    /// The longest `Retry-After` that is obeyed.
    pub max_retry_after: u64,
    /// How many exchanges may start in a rate window.
    pub rate_starts: usize,
    /// How long that window is.
    pub rate_window: u64,
    /// After how many fresh tokens in a row that were refused the breaker opens.
    pub breaker: usize,
    /// For how long no exchange starts then.
    pub cool_down: u64,
}

/// What to do with a refresh token whose last presentation had no answer (Q1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Present it again: the server does not rotate, so nothing can happen.
    NonRotating,
    /// Once more, promptly, so that it is over inside the server's reuse window.
    Once {
        /// The reuse window, from the first presentation, in milliseconds.
        window: u64,
        /// Whether it is presented again when no usable access token is left.
        last_resort: bool,
    },
    /// As `Once` with a last resort, without a limit in time.
    UntilUsed,
    /// Not while a usable access token is left.
    Never {
        /// Whether it is presented again when none is left.
        last_resort: bool,
    },
}

/// A span, but at most a share of the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// The span, in milliseconds.
    pub at_most: u64,
    /// The share, in percent.
    pub percent: u64,
}

impl Margin {
    /// The distance for a token of this lifetime. Both in milliseconds.
    pub fn of(self, lifetime: u64) -> u64 {
        let share = u128::from(lifetime) * u128::from(self.percent) / 100;
        self.at_most.min(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl Settings {
    /// How long a process waits for another's claim, in milliseconds: S + L + M + 1 s.
    pub fn term(&self) -> u64 {
        self.send_limit + self.exchange_limit + self.save_limit + 1000
    }
}

impl Default for Settings {
    /// The defaults of the catalogue.
    fn default() -> Self {
        Self {
            shared: false,
            ambient: false,
            policy: Policy::Once { window: 30_000, last_resort: true },
            max_waiters: 65_536,
            soft_margin: Margin { at_most: 60_000, percent: 20 },
            hard_margin: Margin { at_most: 10_000, percent: 10 },
            jitter: Margin { at_most: 10_000, percent: 5 },
            exchange_limit: 10_000,
            save_limit: 2_000,
            send_limit: 2_000,
            skew: 2_000,
            backoff_base: 500,
            backoff_cap: 60_000,
            max_retry_after: 3_600_000,
            rate_starts: 5,
            rate_window: 30_000,
            breaker: 2,
            cool_down: 60_000,
        }
    }
}
