use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use token_refresh_core::Timestamp;

use self::system::{mono, wall};
use crate::sync::thread;

/// Where a session's time comes from. Never runs back.
pub trait Clock: Send + Sync {
    /// The time. Read once for every request, so it must be cheap.
    fn now(&self) -> Timestamp;

    /// Blocks the calling thread until it is unparked, or `until` is reached by this clock. May return early.
    fn park_until(&self, until: Timestamp) {
        thread::park_timeout(until.since(self.now()));
    }
}

/// The same instant for the standard library, which cannot express every one.
pub(crate) fn system_time(instant: Timestamp) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(instant.as_millis()))
}

/// Unix time that advances by what is larger, the difference of the monotonic or of the wall clock (TIME-04).
///
/// The monotonic clock stands still while the machine is suspended, and the wall clock can be set back; taken together
/// they never make a token look younger than it is, by more than 0.1 s. A wall clock set forward makes tokens look
/// older, which costs an early refresh.
///
/// Reading it takes no lock, except while one of the two clocks has just jumped. On Linux both clocks are read as of
/// the last tick of the kernel, at most 10 ms ago, which takes a tenth of the time.
pub struct SystemClock(Blend);

impl SystemClock {
    /// Starts from the wall clock.
    pub fn new() -> Self {
        Self(Blend::new(mono(), wall()))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.0.read(mono, wall)
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SystemClock").field(&self.now()).finish()
    }
}

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "clock/linux.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "clock/std.rs")]
mod system;

/// The larger of two differences, added up. All in milliseconds.
///
/// The time given out is the monotonic clock plus `offset`, and `offset` only grows: by every rise of the gap between
/// the two clocks. Falls of the gap only lower the mark from which rises are counted.
struct Blend {
    /// The gap, wall minus monotonic, at the last jump.
    gap: AtomicI64,
    offset: AtomicI64,
    /// Held while the two numbers above change.
    jump: Mutex<()>,
}

impl Blend {
    /// The gap wobbles by rounding, by slewing, and by the time between two readings: up to a tick of the kernel. If
    /// every wobble counted as a rise, the clock would run ahead; only changes beyond this do. Together with the age of
    /// a reading, another tick, this is what the clock may be behind.
    const TOLERANCE: i64 = 90;

    fn new(mono: i64, wall: i64) -> Self {
        let gap = wall.saturating_sub(mono);
        Self { gap: AtomicI64::new(gap), offset: AtomicI64::new(gap), jump: Mutex::new(()) }
    }

    fn read(&self, mono: impl Fn() -> i64, wall: impl Fn() -> i64) -> Timestamp {
        let reading = mono();
        let gap = wall().saturating_sub(reading);
        // Acquire: whoever sees a new gap sees the offset that was stored before it.
        if gap.saturating_sub(self.gap.load(Ordering::Acquire)).saturating_abs() <= Self::TOLERANCE {
            self.at(reading)
        } else {
            self.jumped(mono, wall)
        }
    }

    #[cold]
    fn jumped(&self, mono: impl Fn() -> i64, wall: impl Fn() -> i64) -> Timestamp {
        let _jump = self.jump.lock().unwrap_or_else(PoisonError::into_inner);
        // This thread may have slept between two readings; the true gap lies between these two.
        let before = mono();
        let wall = wall();
        let after = mono();
        let (least, most) = (wall.saturating_sub(after), wall.saturating_sub(before));
        let gap = self.gap.load(Ordering::Relaxed);
        let rise = least.saturating_sub(gap);
        if rise > Self::TOLERANCE {
            self.offset.store(self.offset.load(Ordering::Relaxed).saturating_add(rise), Ordering::Relaxed);
            self.gap.store(least, Ordering::Release);
        } else if gap.saturating_sub(most) > Self::TOLERANCE {
            self.gap.store(most, Ordering::Release);
        }
        self.at(after)
    }

    fn at(&self, mono: i64) -> Timestamp {
        let millis = mono.saturating_add(self.offset.load(Ordering::Relaxed));
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// Clocks can be shared between sessions.
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn park_until(&self, until: Timestamp) {
        (**self).park_until(until);
    }
}

#[cfg(test)]
mod tests;
