//! When a token is renewed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test is no part of the core")]

use std::time::Duration;

use token_refresh_core::{Config, Grant, Machine, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The soft end of a token is moved forward by chance: machines that got their tokens together renew them at different
/// times, spread over the whole range, and one machine does the same thing every time.
#[test]
fn time_03_machines_that_start_together_refresh_at_different_times() {
    const LIFETIME: Duration = Duration::from_secs(1_000);
    let soft_end = |seed: u64| {
        let mut machine = Machine::new(Config::default(), seed, NOW).unwrap();
        machine.sign_in(Grant::new("at").unwrap().with_lifetime(LIFETIME), NOW);
        let token = machine.current().unwrap();
        token.soft_end.unwrap().since(NOW).as_millis()
    };
    let mut ends: Vec<u128> = (0..1_000).map(soft_end).collect();
    ends.sort_unstable();
    // 60 s before the end, and up to 10 s more (5 % would be 50 s).
    let range = 930_000..=940_000;
    assert!(ends.iter().all(|end| range.contains(end)), "{:?} to {:?}", ends.first(), ends.last());
    for (tenth, ends) in ends.chunks(100).enumerate() {
        let expected = range.start() + 1_000 * tenth as u128 + 500;
        assert!(ends[50].abs_diff(expected) < 500, "tenth {tenth}: {} ms", ends[50]);
    }
    assert_eq!(soft_end(7), soft_end(7));
}

/// Drawn once for each token: looking again and again does not bring the end nearer.
#[test]
fn time_03_the_soft_end_is_drawn_once() {
    let mut machine = Machine::new(Config::default(), 1, NOW).unwrap();
    machine.sign_in(Grant::new("at").unwrap().with_lifetime(Duration::from_secs(1_000)), NOW);
    let drawn = machine.current().unwrap().soft_end;
    for second in 0..900 {
        let _ = machine.acquire(NOW.after(Duration::from_secs(second)));
        assert_eq!(machine.current().unwrap().soft_end, drawn);
    }
}
