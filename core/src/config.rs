use core::time::Duration;

/// What a machine needs to know. Every value has a default; change the fields you need.
///
/// ```
/// use std::time::Duration;
/// use token_refresh_core::{AmbiguousPolicy, Config};
///
/// let mut config = Config::default();
/// config.ambiguous = AmbiguousPolicy::Once { window: Duration::from_secs(60), last_resort: true };
/// config.exchange_limit = Duration::from_secs(5);
/// config.validate()?;
/// # Ok::<(), token_refresh_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether other processes may use the same credential. Default: [`Persistence::Memory`].
    pub persistence: Persistence,
    /// What an exchange needs. Default: [`Renewal::RefreshToken`].
    pub renewal: Renewal,
    /// What to do with a refresh token whose last presentation had no answer.
    /// Default: `Once { window: 30 s, last_resort: true }`.
    pub ambiguous: AmbiguousPolicy,
    /// How many callers may wait. Default: 65,536 (CORE-13).
    pub max_waiters: usize,
    /// Distance of the soft end from the end: the refresh in the background begins. Default: 60 s, at most 20 %.
    pub soft_margin: Margin,
    /// Distance of the hard end from the end: the token is not used any more. Default: 10 s, at most 10 %.
    pub hard_margin: Margin,
    /// The soft end is moved forward by a random part of this, drawn once per token (TIME-03).
    /// Default: 10 s, at most 5 %.
    pub jitter: Margin,
    /// The lifetime of a token whose server does not say it. Default: none; it is used until it is refused (XRSP-05).
    pub default_lifetime: Option<Duration>,
    /// L: how long one exchange may take, from its first byte to the last of the answer. Default: 10 s.
    pub exchange_limit: Duration,
    /// M: how long a run retries to save a grant before it goes on with it in memory. Default: 2 s.
    pub save_limit: Duration,
    /// S: how late the first byte may leave after a run decided to send it, so also how long connecting may take.
    /// With a shared store it counts from the issue of the claim. Default: 2 s.
    pub send_limit: Duration,
    /// σ: how far the clocks of two machines may differ. Default: 2 s. A wrong clock beyond that costs at most one
    /// replay or one missed retry, never a stolen claim.
    pub skew: Duration,
    /// First and greatest delay after failures; doubled with each, then drawn from `[0, delay]` (RETRY-04).
    /// Default: 0.5 s and 60 s.
    pub backoff: Backoff,
    /// The longest `Retry-After` that is obeyed (RETRY-05). Default: 1 h.
    pub max_retry_after: Duration,
    /// How many exchanges may start in how long (CORE-11). Default: 5 in 30 s.
    pub rate: Rate,
    /// After so many fresh tokens in a row were refused without one acceptance, the breaker opens (CORE-12).
    /// Default: 2.
    pub breaker: u32,
    /// How long the breaker stays open, and how long a misconfigured client waits. Default: 60 s.
    pub cool_down: Duration,
}

/// Whether other processes may use the same credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// No: the credential lives in this machine alone, and a run is one exchange.
    Memory,
    /// Yes: it lives in a store, and a run is load, claim, exchange, save.
    Shared,
}

/// What an exchange needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// A refresh token. Without one, a refusal is final (CORE-10).
    RefreshToken,
    /// Nothing that is kept here: client credentials, a fresh assertion.
    Ambient,
    /// A refresh cookie, if there is one. Whether there is, the server alone knows, so it is asked without one too
    /// (COOK-01).
    Cookie,
}

/// What to do with a refresh token whose last presentation had no answer: the server may have rotated it, and may
/// take a second presentation for theft (RFC 9700 §4.14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousPolicy {
    /// The server does not rotate, or old refresh tokens stay good: presenting again is harmless.
    NonRotating,
    /// One prompt presentation more, sent so early that it is over inside the server's reuse window, which counts
    /// from the first presentation. After that only as a last resort.
    Once {
        /// The server's reuse window.
        window: Duration,
        /// Whether to present it once more when no usable access token is left, since nothing is left to lose.
        /// Switch it off where the server punishes more than this session.
        last_resort: bool,
    },
    /// The old refresh token stays good until its successor is used: as `Once`, without a limit in time.
    UntilUsed,
    /// No prompt presentation.
    Never {
        /// As in `Once`; `false` ends the session instead.
        last_resort: bool,
    },
}

/// A distance from the end of a token's life: a span, but never more than a share of the lifetime, so that a fresh
/// token is never stale at birth (TIME-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// The span.
    pub at_most: Duration,
    /// The share of the lifetime, in percent.
    pub percent: u8,
}

/// Delays after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub base: Duration,
    /// The greatest.
    pub cap: Duration,
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub starts: u32,
    /// In how long.
    pub window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            persistence: Persistence::Memory,
            renewal: Renewal::RefreshToken,
            ambiguous: AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: true },
            max_waiters: 65_536,
            soft_margin: Margin { at_most: Duration::from_secs(60), percent: 20 },
            hard_margin: Margin { at_most: Duration::from_secs(10), percent: 10 },
            jitter: Margin { at_most: Duration::from_secs(10), percent: 5 },
            default_lifetime: None,
            exchange_limit: Duration::from_secs(10),
            save_limit: Duration::from_secs(2),
            send_limit: Duration::from_secs(2),
            skew: Duration::from_secs(2),
            backoff: Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(60) },
            max_retry_after: Duration::from_secs(3600),
            rate: Rate { starts: 5, window: Duration::from_secs(30) },
            breaker: 2,
            cool_down: Duration::from_secs(60),
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody could ever wait.
    #[error("max_waiters is 0: nobody could wait for a token; allow at least 1")]
    NoWaiters,
    /// An exchange could never end in time.
    #[error("exchange_limit is 0: no exchange could end in time; allow at least 1 ms")]
    NoExchangeLimit,
    /// Nothing could ever be sent in time.
    #[error("send_limit is 0: nothing could be sent in time; allow at least 1 ms")]
    NoSendLimit,
    /// A token would be stale at birth.
    #[error(
        "soft_margin and jitter together take 100 percent of the lifetime or more: a fresh token would be stale"
    )]
    StaleAtBirth,
    /// A token would be thrown away while the refresh in the background has not begun.
    #[error(
        "hard_margin is larger than soft_margin: callers would wait before the background refresh begins"
    )]
    HardBeforeSoft,
    /// No exchange could ever start.
    #[error("rate.starts is 0: no exchange could ever start; allow at least 1")]
    NoExchanges,
    /// No exchange could ever start.
    #[error("breaker is 0: no exchange could ever start; allow at least 1")]
    BreakerAlwaysOpen,
    /// Others wait for a claim at most [`Config::MAX_TERM`].
    #[error(
        "send_limit + exchange_limit + save_limit + 1 s is more than 60 s: others would take over a healthy claim"
    )]
    TermTooLong,
}

/// A configuration that works, and will fail in a way one may not expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigWarning {
    /// RETRY-06.
    #[error(
        "the reuse window is shorter than two exchange limits with send_limit and skew: after a time-out the prompt \
         retry comes too late"
    )]
    WindowTooShortForRetry,
    /// With a shared store only.
    #[error(
        "the reuse window is too short for another process to take over a claim inside it: a crash leads to the last \
         resort; lower exchange_limit if you can"
    )]
    WindowTooShortForTakeover,
}

impl Config {
    /// The longest term that a process waits for another's claim.
    pub const MAX_TERM: Duration = Duration::from_secs(60);

    /// The longest time between two looks at the store while waiting for another process.
    pub(crate) const POLL_CAP: Duration = Duration::from_millis(500);
    /// The shortest.
    pub(crate) const POLL_BASE: Duration = Duration::from_millis(50);
    /// How often a final failure is looked past, and how often an obligation is retried.
    pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);
    /// What the watchdog grants beyond the limit of an effect, and a claim beyond its parts.
    pub(crate) const SLACK: Duration = Duration::from_secs(1);

    /// For how long others wait for a claim of this machine: S + L + M + 1 s.
    pub fn term(&self) -> Duration {
        self.send_limit
            .saturating_add(self.exchange_limit)
            .saturating_add(self.save_limit)
            .saturating_add(Self::SLACK)
    }

    /// Whether this can work. [`Machine::new`](crate::Machine::new) asks too.
    ///
    /// # Errors
    /// The first thing that cannot work; its text says what to change.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let checks = [
            (self.max_waiters == 0, ConfigError::NoWaiters),
            (self.exchange_limit.is_zero(), ConfigError::NoExchangeLimit),
            (self.send_limit.is_zero(), ConfigError::NoSendLimit),
            (self.soft_margin.percent.saturating_add(self.jitter.percent) >= 100, ConfigError::StaleAtBirth),
            (
                self.hard_margin.percent > self.soft_margin.percent
                    || self.hard_margin.at_most > self.soft_margin.at_most,
                ConfigError::HardBeforeSoft,
            ),
            (self.rate.starts == 0, ConfigError::NoExchanges),
            (self.breaker == 0, ConfigError::BreakerAlwaysOpen),
            (
                self.persistence == Persistence::Shared && self.term() > Self::MAX_TERM,
                ConfigError::TermTooLong,
            ),
        ];
        checks.into_iter().find_map(|(bad, error)| bad.then_some(error)).map_or(Ok(()), Err)
    }

    /// What works, but not as one may expect. Worth a line in a log at start.
    pub fn warnings(&self) -> impl Iterator<Item = ConfigWarning> {
        let (retry, takeover) = match self.ambiguous {
            AmbiguousPolicy::Once { window, .. } => {
                let shared = self.persistence == Persistence::Shared;
                let exchange = self.send_limit.saturating_add(self.exchange_limit).saturating_add(self.skew);
                let takeover =
                    self.term().saturating_add(Self::POLL_CAP.saturating_mul(2)).saturating_add(exchange);
                let retry = self.exchange_limit.saturating_add(exchange);
                (retry > window, shared && takeover > window)
            }
            AmbiguousPolicy::NonRotating | AmbiguousPolicy::UntilUsed | AmbiguousPolicy::Never { .. } => {
                (false, false)
            }
        };
        [
            retry.then_some(ConfigWarning::WindowTooShortForRetry),
            takeover.then_some(ConfigWarning::WindowTooShortForTakeover),
        ]
        .into_iter()
        .flatten()
    }
}

impl Margin {
    /// The distance for a token of this lifetime.
    pub(crate) fn of(self, lifetime: Duration) -> Duration {
        let share = lifetime.as_millis().saturating_mul(u128::from(self.percent)) / 100;
        self.at_most.min(Duration::from_millis(u64::try_from(share).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_cannot_work_is_an_error_that_says_why() {
        fails(|config| config.max_waiters = 0, ConfigError::NoWaiters);
        fails(|config| config.exchange_limit = Duration::ZERO, ConfigError::NoExchangeLimit);
        fails(|config| config.send_limit = Duration::ZERO, ConfigError::NoSendLimit);
        fails(|config| config.jitter.percent = 80, ConfigError::StaleAtBirth);
        fails(|config| config.hard_margin.percent = 30, ConfigError::HardBeforeSoft);
        fails(|config| config.rate.starts = 0, ConfigError::NoExchanges);
        fails(|config| config.breaker = 0, ConfigError::BreakerAlwaysOpen);
        fails(|config| config.exchange_limit = Duration::from_secs(56), ConfigError::TermTooLong);
    }

    fn fails(change: impl FnOnce(&mut Config), error: ConfigError) {
        let mut config = Config { persistence: Persistence::Shared, ..Config::default() };
        assert_eq!(config.validate(), Ok(()));
        change(&mut config);
        assert_eq!(config.validate(), Err(error));
    }

    #[test]
    fn retry_06_a_window_that_is_too_short_is_worth_a_warning() {
        let warnings = |persistence, seconds| {
            let ambiguous = AmbiguousPolicy::Once { window: Duration::from_secs(seconds), last_resort: true };
            Config { persistence, ambiguous, ..Config::default() }.warnings().collect::<Vec<_>>()
        };
        assert_eq!(warnings(Persistence::Memory, 24), []);
        assert_eq!(warnings(Persistence::Memory, 23), [ConfigWarning::WindowTooShortForRetry]);
        assert_eq!(warnings(Persistence::Shared, 30), []);
        assert_eq!(warnings(Persistence::Shared, 29), [ConfigWarning::WindowTooShortForTakeover]);
    }
}
