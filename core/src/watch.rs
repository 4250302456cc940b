use core::time::Duration;

use crate::{Config, Timestamp, Version, rng::Rng, time::millis};

/// Waiting for a record to move, by looking at it again and again.
///
/// What counts is not the age of a claim by anybody's clock but how long this machine has *seen* it unchanged: time
/// between two loads of the same version, and never more than twice the pause that was asked for. So a machine that
/// was suspended gives the other one time to read its answer after both wake (rule 4 of the claim protocol).
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    version: Option<Version>,
    credit: Duration,
    seen_at: Timestamp,
    /// The pause before the load that is now under way.
    pause: Duration,
    /// The pause before it was jittered.
    step: Duration,
}

impl Watch {
    /// A load saw this version.
    pub(crate) fn saw(&mut self, version: Version, now: Timestamp) {
        if self.version == Some(version) {
            let waited = now.since(self.seen_at).min(self.pause.saturating_mul(2));
            self.credit = self.credit.saturating_add(waited);
        } else {
            *self = Self { version: Some(version), ..Self::default() };
        }
        self.seen_at = now;
        self.pause = Duration::ZERO;
    }

    /// For how long the version last seen has been watched.
    pub(crate) fn credit(&self) -> Duration {
        self.credit
    }

    /// The pause before the next look: 50 ms, half as much again each time, at most 0.5 s, times `[0.5, 1]`.
    pub(crate) fn next_pause(&mut self, rng: &mut Rng) -> Duration {
        self.step = if self.step.is_zero() {
            Config::POLL_BASE
        } else {
            self.step.saturating_add(half(self.step)).min(Config::POLL_CAP)
        };
        self.pause = half(self.step).saturating_add(rng.up_to(half(self.step)));
        self.pause
    }
}

fn half(span: Duration) -> Duration {
    Duration::from_millis(millis(span) / 2)
}
