//! A state machine under test.

use serde::{Deserialize, Serialize};

use crate::vocabulary::{Input, Reply};

/// A state machine that refreshes an access token, driven by the kit.
///
/// The kit calls one method at a time, and the machine must drain all its outputs into each [`Reply`]. It must be
/// total (any input in any state) and deterministic (same calls, same replies).
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
    /// By how much the soft end may come earlier.
    pub jitter: Margin,
    /// L.
    pub exchange_limit: u64,
    /// M.
    pub save_limit: u64,
    /// S.
    pub send_limit: u64,
    /// σ.
    pub skew: u64,
    /// The first delay after a failure.
    pub backoff_base: u64,
    /// The greatest.
    pub backoff_cap: u64,
    /// The longest `Retry-After` that is obeyed.
    pub max_retry_after: u64,
    /// How many exchanges may start in a rate window.
    pub rate_starts: usize,
    /// How long that window is.
    pub rate_window: u64,
    /// After how many fruitless generations the breaker opens.
    pub breaker: usize,
    /// For how long.
    pub cool_down: u64,
}

/// What to do with a refresh token whose last presentation had no answer (Q1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Present it again: nothing can happen.
    NonRotating,
    /// Once more inside the window.
    Once {
        /// The window, from the first presentation.
        window: u64,
        /// And when no usable access token is left.
        last_resort: bool,
    },
    /// Once more, whenever.
    UntilUsed,
    /// Not while a usable access token is left.
    Never {
        /// And when none is.
        last_resort: bool,
    },
}

/// A span, but at most a share of the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// The span.
    pub at_most: u64,
    /// The share, in percent.
    pub percent: u64,
}

impl Margin {
    /// The distance for a token of this lifetime.
    pub fn of(self, lifetime: u64) -> u64 {
        let share = u128::from(lifetime) * u128::from(self.percent) / 100;
        self.at_most.min(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl Settings {
    /// How long a process waits for another's claim: S + L + M + 1 s.
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
