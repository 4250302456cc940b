//! SIGKILL at every step of a refresh. What another process finds, waits for, and gets.

use token_refresh_conformance::server::{Cut, Gate, Policy, Step};

use crate::{
    process::Process,
    world::{Ending, PATIENCE, World, failed, ok, strict, window},
};

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instant {
    BeforeClaim,
    AfterClaim,
    /// The server has read the request and acts on it, for nobody.
    AfterSend,
    /// As above, but the server does not act on it.
    AfterSendInVain,
    AfterReply,
    /// A file is half written.
    DuringSave,
    AfterSave,
}

/// Brings a process to this instant of a refresh, and kills it there.
pub(crate) fn kill(world: &World, mut process: Process, instant: Instant) {
    let gate = Gate::new();
    let held = Step::new().on("/token").hold_before(&gate);
    let point = match instant {
        Instant::BeforeClaim => "claim:before",
        Instant::AfterClaim => "claim:after",
        Instant::AfterReply => "save:before",
        Instant::DuringSave => "save:middle",
        Instant::AfterSave => "save:after",
        Instant::AfterSend | Instant::AfterSendInVain => "",
    };
    match instant {
        Instant::AfterSend => world.auth.script([held]),
        Instant::AfterSendInVain => world.auth.script([held.cut(Cut::BeforeProcessing)]),
        _ => process.hold(point),
    }
    process.begin("refuse");
    if point.is_empty() {
        assert!(gate.wait_arrived(1, PATIENCE));
    } else {
        process.arrives(point);
    }
    process.kill();
    gate.open();
}

/// One process is killed, another one wants a token.
pub(crate) fn survive(world: &World, policy: &str, instant: Instant) -> (Result<String, String>, Ending) {
    let (victim, mut survivor) = (world.process_with(policy, 0), world.process_with(policy, 0));
    kill(world, victim, instant);
    let answer = survivor.refuse();
    survivor.settle();
    (world.name(answer), world.ending())
}

fn survived(server: Policy, policy: &str, instant: Instant) -> (Result<String, String>, Ending) {
    survive(&World::new(server), policy, instant)
}

pub(crate) const SAVED: Ending = Ending { presented: 1, revoked: 0, serial: 2, refused: false };
pub(crate) const REVOKED: Ending = Ending { presented: 2, revoked: 1, serial: 1, refused: true };
pub(crate) const REPEATED: Ending = Ending { presented: 2, ..SAVED };

#[test]
fn mp_03_a_kill_before_the_claim_costs_nothing() {
    assert_eq!(survived(strict(), "once", Instant::BeforeClaim), (ok("at-1-1"), SAVED));
}

#[test]
fn mp_09_a_kill_after_the_claim_is_waited_for_and_costs_nothing() {
    assert_eq!(survived(strict(), "once", Instant::AfterClaim), (ok("at-1-1"), SAVED));
}

#[test]
fn mp_09_a_kill_after_the_send_is_a_replay_if_the_server_is_strict() {
    let lost = failed("RefusedAfterAmbiguity");
    assert_eq!(survived(strict(), "once", Instant::AfterSend), (lost, REVOKED));
}

#[test]
fn mp_09_a_kill_after_a_send_in_vain_costs_nothing() {
    assert_eq!(survived(strict(), "once", Instant::AfterSendInVain), (ok("at-1-1"), REPEATED));
}

#[test]
fn mp_09_a_kill_after_the_send_costs_nothing_inside_a_reuse_window() {
    assert_eq!(survived(window(), "once", Instant::AfterSend), (ok("at-1-1"), REPEATED));
}

#[test]
fn mp_09_whoever_never_presents_again_is_uncertain() {
    let ending = Ending { presented: 1, revoked: 0, serial: 1, refused: false };
    assert_eq!(survived(strict(), "never", Instant::AfterSend), (failed("Uncertain"), ending));
}

#[test]
fn mp_09_whoever_never_presents_again_is_uncertain_although_nothing_was_sent() {
    let ending = Ending { presented: 0, revoked: 0, serial: 1, refused: false };
    assert_eq!(survived(strict(), "never", Instant::AfterClaim), (failed("Uncertain"), ending));
}

#[test]
fn mp_09_a_kill_after_the_reply_is_a_replay_if_the_server_is_strict() {
    let lost = failed("RefusedAfterAmbiguity");
    assert_eq!(survived(strict(), "once", Instant::AfterReply), (lost, REVOKED));
}

#[test]
fn mp_09_a_kill_after_the_reply_costs_nothing_inside_a_reuse_window() {
    assert_eq!(survived(window(), "once", Instant::AfterReply), (ok("at-1-1"), REPEATED));
}

#[test]
fn pers_03_a_kill_during_the_save_leaves_the_old_record_whole() {
    let world = World::new(window());
    let before = world.stored();
    let (victim, mut survivor) = (world.process(), world.process());
    kill(&world, victim, Instant::DuringSave);

    let left = world.stored();
    // The version that was given out is never used again.
    assert!(left.version.0 > before.version.0 + 2, "{before:?} {left:?}");
    let (left, before) = (left.record.unwrap(), before.record.unwrap());
    assert_eq!((left.body, left.serial, left.presented), (before.body, before.serial, 1));
    let answer = survivor.refuse();
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), REPEATED));
}

#[test]
fn pers_01_a_kill_after_the_save_costs_nothing() {
    assert_eq!(survived(strict(), "once", Instant::AfterSave), (ok("at-1-1"), SAVED));
}

/// Nothing is left to be told by the dead process but the record.
#[test]
fn mp_03_a_process_that_starts_after_the_kill_waits_as_well() {
    let world = World::new(strict());
    kill(&world, world.process(), Instant::AfterClaim);
    let mut newcomer = world.process();
    let answer = newcomer.refuse();
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
    let record = world.record();
    assert_eq!(
        (record.born, record.contested),
        (2, true),
        "the second presentation, and the first is unknown"
    );
}

/// Two kills in a row, at the worst instant: each is waited for.
#[test]
fn rule_4_a_takeover_can_be_taken_over() {
    let world = World::new(window());
    let [first, second] = [world.process(), world.process()];
    let mut third = world.process();
    kill(&world, first, Instant::AfterClaim);
    kill(&world, second, Instant::AfterReply);
    let answer = third.refuse();
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), REPEATED));
    assert_eq!(world.record().born, 3);
}
