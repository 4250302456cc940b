use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{Config, Failure, FailureKind, Timestamp, rng::Rng};

/// How many bare refusals in a row are taken for a passing fault.
const UNEXPLAINED: u32 = 3;

/// When an exchange may start: the rate window, the pause after failures, and the breaker.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    /// The latest starts, no more than the rate allows in one window.
    starts: VecDeque<Timestamp>,
    /// No start before this, and what callers are told until then.
    pause: Option<(Timestamp, FailureKind)>,
    /// Failures in a row.
    attempts: u32,
    /// Bare refusals in a row.
    unexplained: u32,
    /// Fresh tokens in a row that were refused and never accepted.
    fruitless: u32,
    breaker: Option<Timestamp>,
}

impl Pacing {
    pub(crate) fn new() -> Self {
        Self {
            starts: VecDeque::new(),
            pause: None,
            attempts: 0,
            unexplained: 0,
            fruitless: 0,
            breaker: None,
        }
    }

    /// Whether an exchange may start now (I-13, I-14).
    pub(crate) fn gate(&mut self, config: &Config, now: Timestamp) -> Result<(), Failure> {
        if let Some((until, kind)) = self.pause
            && now < until
        {
            return Err(Failure::at(kind, until));
        }
        if let Some(until) = self.breaker {
            if now < until {
                return Err(Failure::at(FailureKind::RefusedAfterRefresh, until));
            }
            // The cool-down is over: one more fresh token, and if that is refused too the breaker opens again.
            self.breaker = None;
            self.fruitless = config.breaker.saturating_sub(1);
        }
        while self.starts.front().is_some_and(|start| start.after(config.rate.window) <= now) {
            self.starts.pop_front();
        }
        match self.starts.front() {
            Some(oldest) if self.starts.len() >= config.rate.starts as usize => {
                Err(Failure::at(FailureKind::RateLimited, oldest.after(config.rate.window)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn started(&mut self, now: Timestamp) {
        self.starts.push_back(now);
    }

    /// A failure that will pass: full jitter over an exponential delay (RETRY-04), but never earlier than the server
    /// asked for (RETRY-05).
    pub(crate) fn back_off(
        &mut self,
        kind: FailureKind,
        retry_after: Option<Duration>,
        config: &Config,
        rng: &mut Rng,
        now: Timestamp,
    ) -> Failure {
        let doubled =
            config.backoff.base.saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1);
        let delay = rng.up_to(doubled.min(config.backoff.cap));
        let asked = retry_after.unwrap_or_default().min(config.max_retry_after);
        self.hold(kind, now.after(delay.max(asked)))
    }

    /// A bare refusal: passing, but only so often in a row.
    pub(crate) fn unexplained(&mut self, config: &Config, rng: &mut Rng, now: Timestamp) -> Failure {
        self.unexplained = self.unexplained.saturating_add(1);
        if self.unexplained < UNEXPLAINED {
            self.back_off(FailureKind::Transient, None, config, rng, now)
        } else {
            self.hold(FailureKind::Misconfigured, now.after(config.cool_down))
        }
    }

    /// No start before `until`.
    pub(crate) fn hold(&mut self, kind: FailureKind, until: Timestamp) -> Failure {
        self.pause = Some((until, kind));
        Failure::at(kind, until)
    }

    /// No start before `until`, unless none may start before a later instant anyway.
    pub(crate) fn put_off(&mut self, until: Timestamp) {
        if self.pause.is_none_or(|(known, _)| known < until) {
            self.hold(FailureKind::Transient, until);
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.pause = None;
        self.attempts = 0;
        self.unexplained = 0;
    }

    /// A fresh token was refused. Says until when the breaker is open, if this opened it.
    pub(crate) fn fruitless(&mut self, config: &Config, now: Timestamp) -> Option<Timestamp> {
        self.fruitless = self.fruitless.saturating_add(1);
        if self.fruitless < config.breaker {
            return None;
        }
        self.breaker = Some(now.after(config.cool_down));
        self.breaker
    }

    /// The server took a token.
    pub(crate) fn accepted(&mut self) {
        self.fruitless = 0;
        self.breaker = None;
    }

    /// New credentials: their tokens have no past. The server's wish for a pause, and the rate, hold all the same.
    pub(crate) fn signed_in(&mut self) {
        self.attempts = 0;
        self.unexplained = 0;
        // Whatever the reason was, it was another credential's.
        self.pause = self.pause.map(|(until, _)| (until, FailureKind::Transient));
        self.accepted();
    }

    /// The application says that the reason is gone. The rate holds all the same (CORE-11).
    pub(crate) fn reset(&mut self) {
        self.succeeded();
        self.accepted();
    }
}
