//! Everybody who waits gets an answer.

use std::{array, thread, time::Duration};

use token_refresh_conformance::server::{End, Gate, Response, Step};
use token_refresh_core::{
    Acquire, Action, Cause, Config, Effect, Event, Failure, FailureKind, Grant, Machine, Timestamp, WaiterId,
};
use token_refresh_driver::Error;

use crate::{
    Answer, Client,
    naive::Naive,
    ours::Ours,
    world::{SOON, World, busy, invalid_grant},
};

/// One failed POST, and the flag says for ever that a refresh is under way: all later requests wait for it.
///
/// History: 1 refused, refresh fails, 2 refused. Breaks I-19 and I-05.
#[test]
fn defect_01_the_flag_stays_set_when_the_post_fails() {
    fn after_a_failure<C: Client>(new: fn(&World) -> C, failure: Response) -> Answer {
        let world = World::expired();
        let client = new(&world);
        world.auth.script([Step::new().answer(failure)]);

        client.send(&world.get("/first"));
        world.clock.advance(Duration::from_secs(10));
        client.send(&world.get("/second"))
    }
    let no_data = || Response::new(200);
    for failure in [busy(), no_data()] {
        assert_eq!(after_a_failure(Naive::new, failure.clone()), Answer::Hung);
        assert_eq!(after_a_failure(Ours::new, failure), Answer::Status(200));
    }
}

/// Subscribers can be told of a new token and of nothing else: when there is none, they wait for ever.
///
/// History: 1 refused, 2 refused, refresh fails for good. Breaks I-05.
#[test]
fn defect_02_whoever_waits_never_hears_of_the_failure() {
    fn two_in_one_failure<C: Client>(new: fn(&World) -> C) -> [Answer; 2] {
        let world = World::expired();
        let client = new(&world);
        world.auth.script([Step::new().answer(invalid_grant())]);

        let verdicts = world.hold_verdicts("/a", 2);
        thread::scope(|scope| {
            let requests: [_; 2] = array::from_fn(|_| scope.spawn(|| client.send(&world.get("/a"))));
            assert!(verdicts.wait_arrived(2, SOON));
            verdicts.open();
            requests.map(|request| request.join().unwrap())
        })
    }
    assert!(two_in_one_failure(Naive::new).contains(&Answer::Hung));
    assert_eq!(two_in_one_failure(Ours::new), [Answer::NoToken(Some(Cause::NeedsSignIn)); 2]);
}

/// The flag is cleared, then the callbacks run, then the array is emptied: whoever subscribes during the callbacks is
/// thrown out unheard.
///
/// History: 1 refused, refreshed, 2 refused while 1 is called back. Breaks I-05.
///
/// The adapter runs nobody's code while it tells the others: a caller is a thread of its own that is woken. The question
/// is what the machine does with a demand between two outcomes, so it is put to the machine.
#[test]
fn defect_05_a_demand_during_the_callbacks_is_lost() {
    let world = World::expired();
    let naive = Naive::new(&world);
    let verdict = world.hold_verdicts("/second", 1);
    let second_refresh = Gate::new();
    world.auth.script([Step::new(), Step::new().hold_before(&second_refresh)]);
    naive.subscribe({
        let (verdict, second_refresh) = (verdict.clone(), second_refresh.clone());
        move |_| {
            verdict.open();
            assert!(second_refresh.wait_arrived(1, SOON), "the second request has subscribed");
        }
    });
    thread::scope(|scope| {
        let second = scope.spawn(|| naive.send(&world.get("/second")));
        assert!(verdict.wait_arrived(1, SOON));
        assert_eq!(naive.send(&world.get("/first")), Answer::Status(200));
        second_refresh.open();
        assert_eq!(second.join().unwrap(), Answer::Hung);
    });

    let mut machine = signed_in(Config::default());
    let refused = machine.current().unwrap().id;
    let (first, second) = (wait(&machine.reject(refused, NOW)), wait(&machine.reject(refused, NOW)));
    let mut during = None;
    let mut served = Vec::new();
    while let Some(action) = machine.poll_action() {
        match action {
            Action::Run(effect) => refresh(&mut machine, &effect),
            Action::Resolve { waiter, outcome } => {
                served.push(waiter);
                // The first to be called back has its new token refused at once.
                during.get_or_insert_with(|| wait(&machine.reject(outcome.unwrap().id, NOW)));
            }
            Action::Publish(_) | Action::Notify(_) => {}
        }
    }
    assert_eq!(served, [first, second, during.unwrap()]);
}

/// The POST goes through the client that it is to help: its own 401 waits for the refresh, which waits for the POST.
///
/// History: 1 refused, refresh answered with 401. Breaks CORE-15 and I-19.
#[test]
fn defect_06_the_refresh_waits_for_itself() {
    fn refresh_token_refused<C: Client>(new: fn(&World) -> C) -> Answer {
        let world = World::expired();
        world.auth.revoke_family(1);
        let answer = new(&world).send(&world.get("/a"));
        assert_eq!(world.auth.log()[0].end, End::Answered(401));
        answer
    }
    assert_eq!(refresh_token_refused(Naive::new), Answer::Hung);
    assert_eq!(refresh_token_refused(Ours::new), Answer::NoToken(Some(Cause::NeedsSignIn)));
}

/// The array has no end, nobody can leave it, and nobody's time is up.
///
/// History: a million requests while the authorization server is silent. Breaks I-22 and I-05.
///
/// A million threads are no test, so the array is filled by hand, and the machine is given a queue of two.
#[test]
fn defect_12_the_queue_has_no_end_and_no_exit() {
    let naive = Naive::new(&World::new());
    (0..100_000).for_each(|_| naive.subscribe(|_| {}));
    assert_eq!(naive.subscribers(), 100_000, "and there is nothing to call to take one out");

    let mut config = Config::default();
    config.max_waiters = 2;
    let mut machine = signed_in(config);
    let refused = machine.current().unwrap().id;
    let [first, _] = array::from_fn(|_| wait(&machine.reject(refused, NOW)));
    let full = machine.acquire(NOW);
    assert!(matches!(full, Acquire::Failed(Failure { kind: FailureKind::QueueFull, .. })), "{full:?}");
    assert!(machine.cancel(first));
    wait(&machine.acquire(NOW));

    let world = World::expired();
    let silence = Gate::new();
    world.auth.script([Step::new().hold_before(&silence)]);
    let ours = Ours::new(&world);
    let refused = ours.session().token().unwrap().id();
    assert_eq!(ours.session().reject_within(refused, Duration::ZERO).unwrap_err(), Error::TimedOut);
    // Who gave up has cost the others nothing.
    silence.open();
    assert_eq!(ours.send(&world.get("/a")), Answer::Status(200));
    assert_eq!(world.token_requests(), 1);
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn signed_in(config: Config) -> Machine {
    let mut machine = Machine::new(config, 0, NOW).unwrap();
    machine.sign_in(grant(), NOW);
    machine
}

fn grant() -> Grant {
    Grant::new("at").unwrap().with_refresh_token("rt").unwrap()
}

fn wait(answer: &Acquire) -> WaiterId {
    match answer {
        Acquire::Wait(waiter) => *waiter,
        Acquire::Ready(_) | Acquire::Failed(_) => panic!("{answer:?}"),
    }
}

fn refresh(machine: &mut Machine, effect: &Effect) {
    let Effect::Exchange { ticket, .. } = *effect else { panic!("{effect:?}") };
    machine.handle_event(Event::Exchanged { ticket, sent_at: NOW, result: Ok(grant()) }, NOW).unwrap();
}
