//! The clock of one process is 90 s ahead, or 90 s behind.

use std::time::Instant;

use token_refresh_conformance::server::{Gate, Step};

use crate::{
    kills::{self, SAVED, kill},
    world::{Ending, LIMIT, PATIENCE, World, config, failed, ok, strict},
};

const SHIFTS: [i64; 2] = [90_000, -90_000];

#[test]
fn rule_4_a_wrong_clock_does_not_steal_a_healthy_claim() {
    for shift in SHIFTS {
        for (claimant, watcher) in [(shift, 0), (0, shift)] {
            let world = World::new(strict()).unhurried();
            let (mut claimant, mut watcher) =
                (world.process_with("once", claimant), world.process_with("once", watcher));
            let gate = Gate::new();
            world.auth.script([Step::new().on("/token").hold_after(&gate)]);
            let refreshed = claimant.begin("refuse");
            assert!(gate.wait_arrived(1, PATIENCE));
            watcher.hold("load:before");
            let waiting = watcher.begin("refuse");
            for _ in 0..4 {
                watcher.arrives("load:before");
                watcher.hold("load:before");
            }
            gate.open();
            let answer = claimant.answer(refreshed);
            assert_eq!(world.name(answer), ok("at-1-1"), "{shift}");
            watcher.pass("load:before");
            let answer = watcher.answer(waiting);
            assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED), "{shift}");
        }
    }
}

#[test]
fn rule_4_a_wrong_clock_does_not_shorten_the_wait_for_a_dead_claimant() {
    for shift in SHIFTS {
        let world = World::new(strict());
        let (victim, mut survivor) = (world.process_with("once", shift), world.process());
        kill(&world, victim, kills::Instant::AfterClaim);
        let begin = Instant::now();
        let answer = survivor.refuse();
        assert!(begin.elapsed() >= config(LIMIT).term(), "{shift}");
        assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED), "{shift}");
    }
}

/// "A wrong clock costs at most one replay or one missed retry": here it costs the retry.
#[test]
fn mp_09_a_wrong_clock_costs_the_prompt_retry_and_no_more() {
    let missed = Ending { presented: 0, serial: 1, ..SAVED };
    let uncertain = (failed("Uncertain"), missed);
    for (shift, expected) in [(0, (ok("at-1-1"), SAVED)), (90_000, uncertain)] {
        let world = World::new(strict());
        let policy = "once, then uncertain";
        let (victim, mut survivor) = (world.process_with(policy, shift), world.process_with(policy, 0));
        kill(&world, victim, kills::Instant::AfterClaim);
        let answer = survivor.refuse();
        assert_eq!((world.name(answer), world.ending()), expected, "{shift}");
    }
}

/// Each takes the other's tokens for what they are, and they do not refresh in turns for ever.
#[test]
fn time_08_processes_with_different_clocks_share_short_tokens() {
    for shift in SHIFTS {
        let world = World::new(strict());
        world.auth.change(|policy| policy.expires_in = Some(60.into()));
        let (mut wrong, mut right) = (world.process_with("once", shift), world.process());
        let (first, second) = (wrong.refuse(), right.refuse());
        assert!(first.is_ok() && second.is_ok(), "{shift}: {first:?} {second:?}");
        for _ in 0..5 {
            assert!(wrong.token().is_ok() && right.token().is_ok());
        }
        wrong.settle();
        right.settle();
        // One of the two may take a token for expired that the other one has just got.
        assert!(world.auth.token_requests().len() <= 2, "{shift}: {:?}", world.auth.token_requests());
        assert_eq!(world.ending().revoked, 0);
    }
}
