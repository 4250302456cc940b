#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use super::*;

/// Two clocks that a test sets as it likes.
struct Clocks {
    mono: Cell<i64>,
    wall: Cell<i64>,
    blend: Blend,
}

impl Clocks {
    const START: i64 = 1_000_000;

    fn new() -> Self {
        Self { mono: Cell::new(0), wall: Cell::new(Self::START), blend: Blend::new(0, Self::START) }
    }

    fn pass(&self, mono: i64, wall: i64) {
        self.mono.set(self.mono.get() + mono);
        self.wall.set(self.wall.get() + wall);
    }

    /// Milliseconds since the start, by the blend.
    fn elapsed(&self) -> i64 {
        let now = self.blend.read(|| self.mono.get(), || self.wall.get());
        i64::try_from(now.as_millis()).unwrap() - Self::START
    }
}

#[test]
fn time_04_a_suspended_monotonic_clock_does_not_stop_time() {
    let clocks = Clocks::new();
    clocks.pass(5_000, 5_000);
    assert_eq!(clocks.elapsed(), 5_000);
    clocks.pass(0, 7_200_000);
    assert_eq!(clocks.elapsed(), 7_205_000);
    clocks.pass(1_000, 1_000);
    assert_eq!(clocks.elapsed(), 7_206_000);
}

#[test]
fn time_04_a_wall_clock_set_back_does_not_set_time_back() {
    let clocks = Clocks::new();
    clocks.pass(60_000, -3_600_000);
    assert_eq!(clocks.elapsed(), 60_000);
}

#[test]
fn time_04_suspend_counts_in_full_after_the_wall_clock_was_set_back() {
    let clocks = Clocks::new();
    clocks.pass(1_000, -3_600_000);
    assert_eq!(clocks.elapsed(), 1_000);
    clocks.pass(0, 1_800_000);
    assert_eq!(clocks.elapsed(), 1_801_000);
}

#[test]
fn time_04_a_wall_clock_set_forward_makes_time_pass() {
    let clocks = Clocks::new();
    clocks.pass(1_000, 86_400_000);
    assert_eq!(clocks.elapsed(), 86_400_000);
}

#[test]
fn time_04_wobble_does_not_make_time_run_ahead() {
    let clocks = Clocks::new();
    for _ in 0..10_000 {
        clocks.pass(10, 10 + 40);
        clocks.elapsed();
        clocks.pass(10, 10 - 40);
        clocks.elapsed();
    }
    assert_eq!(clocks.elapsed(), 200_000);
}

#[test]
fn time_04_a_slow_drift_of_the_wall_clock_is_followed_within_the_tolerance() {
    let clocks = Clocks::new();
    for _ in 0..1_000 {
        clocks.pass(1_000, 1_001);
        clocks.elapsed();
    }
    let behind = 1_001_000 - clocks.elapsed();
    assert!((0..=Blend::TOLERANCE).contains(&behind), "{behind}");
}

#[test]
fn time_04_a_thread_that_sleeps_between_two_readings_makes_no_jump() {
    let clocks = Clocks::new();
    let naps = Cell::new(2);
    let now = clocks.blend.read(
        || clocks.mono.get(),
        || {
            // A minute passes after the first clock was read, at the first look and at the second, closer one.
            if naps.get() > 0 {
                naps.set(naps.get() - 1);
                clocks.pass(60_000, 60_000);
            }
            clocks.wall.get()
        },
    );
    assert_eq!(naps.get(), 0);
    assert_eq!(i64::try_from(now.as_millis()).unwrap(), Clocks::START + 120_000);
    assert_eq!(clocks.elapsed(), 120_000);
}

#[test]
fn time_04_the_system_clock_starts_from_the_wall_clock_and_never_runs_back() {
    let clock = SystemClock::new();
    let before = u64::try_from(wall()).unwrap();
    let mut last = clock.now();
    assert!(last.as_millis().abs_diff(before) < 10_000);
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= last);
        last = now;
    }
}
