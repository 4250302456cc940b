use core::time::Duration;

use crate::time::millis;

/// A small deterministic generator (`SplitMix64`, Steele, Lea and Flood 2014) for jitter and for ids.
///
/// Everything drawn here is harmless when guessed; what matters is that two processes draw differently, which is the
/// caller's part: see the `seed` of [`Machine::new`](crate::Machine::new).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, most]`, in whole milliseconds.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let range = u128::from(millis(most)).saturating_add(1);
        // The high half of a 64 × 64 bit product: uniform enough for jitter, and without a division.
        let scaled = u128::from(self.next()).saturating_mul(range) >> 64;
        Duration::from_millis(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}
