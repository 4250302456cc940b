//! Exchanges that fail on the way, and when they are tried again.

use std::{thread, time::Duration};

use token_refresh_core::{AmbiguousPolicy, Cause, FailureKind, State};

use super::{
    Client, Spec,
    world::{AN_HOUR, SOON, World, answer, problem, says},
};
use crate::server::{ClosedPort, Cut, Gate, Refuse, Response, Reuse, Step};

/// Whether anything was sent decides: a refresh token that certainly did not leave is as good as before, even for a
/// client that never presents one of unknown fate again.
pub fn retry_01_what_was_not_sent_is_told_from_what_may_have_been<C: Client>() {
    let mut world = World::expired();
    let closed = ClosedPort::new().expect("a port");
    world.setup.token_endpoint = format!("http://{}/token", closed.addr().expect("a port"));
    let client = world.once_only::<C>();
    for _ in 0..2 {
        assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Transient));
        world.setup.clock.advance(AN_HOUR);
    }

    for cut in
        [Cut::BeforeReading, Cut::AfterHead, Cut::BeforeProcessing, Cut::AfterProcessing, Cut::InBody(20)]
    {
        let world = World::expired();
        world.auth.script([Step::new().cut(cut)]);
        let client = world.once_only::<C>();
        for _ in 0..2 {
            let cause = problem(&client, &Spec::get(world.api.url("/a"))).cause;
            assert_eq!(cause, Some(Cause::NeedsSignIn), "{cut:?}");
            world.setup.clock.advance(AN_HOUR);
        }
        assert!(world.auth.presentations(&world.issued.refresh_token) <= 1, "{cut:?}");
    }
}

/// An answer that is lost: once more, promptly, while a server with a reuse window surely takes it.
pub fn retry_02_after_a_lost_answer_the_refresh_token_is_presented_once_more<C: Client>() {
    for cut in [Cut::AfterHead, Cut::BeforeProcessing, Cut::AfterProcessing, Cut::InBody(20)] {
        let world = World::expired();
        world.auth.change(|policy| policy.reuse = Reuse::Within(Duration::from_secs(30)));
        world.auth.script([Step::new().cut(cut)]);

        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200, "{cut:?}");
        let sent: Vec<_> = world.auth.log().iter().map(|seen| seen.at).collect();
        let [first, second] = sent[..] else { panic!("{cut:?}: {sent:?}") };
        assert!(second.saturating_sub(first) <= Duration::from_secs(20), "{cut:?}: {first:?} {second:?}");
    }
}

/// The second presentation is the last, whatever is asked later, where there is to be no last resort.
pub fn retry_02_i_02_a_lost_answer_is_not_asked_for_a_third_time<C: Client>() {
    let mut world = World::expired();
    world.setup.config.ambiguous =
        AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: false };
    world.auth.script([Step::new().cut(Cut::AfterProcessing), Step::new().cut(Cut::AfterProcessing)]);
    let client = world.client::<C>();
    for _ in 0..3 {
        problem(&client, &Spec::get(world.api.url("/a")));
        world.setup.clock.advance(AN_HOUR);
    }
    assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2);
}

/// The server refused the second presentation of a refresh token after a lost answer: told apart from a plain refusal,
/// since theft detection may have been tripped.
pub fn retry_07_a_refusal_after_a_lost_answer_has_its_own_reason<C: Client>() {
    let lost = Step::new().cut(Cut::AfterProcessing);
    for (step, kind) in
        [(lost, FailureKind::RefusedAfterAmbiguity), (says(400, "invalid_grant"), FailureKind::Refused)]
    {
        let world = World::expired();
        world.auth.script([step]);
        let client = world.client::<C>();

        assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::NeedsSignIn));
        let state = client.session().state();
        assert!(matches!(state, State::Failed(failure) if failure.kind == kind), "{state:?}");
    }
}

/// A 500 that names a time may have cost the refresh token, and is not asked again before that time either.
pub fn retry_05_a_named_time_puts_off_the_prompt_presentation<C: Client>() {
    let world = World::expired();
    world.auth.script([Step::new().answer(Response::new(500).header("Retry-After", "7"))]);
    let client = world.client::<C>();
    for _ in 0..2 {
        assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Uncertain));
    }
    assert_eq!(world.token_requests(), 1);
    world.setup.clock.advance(Duration::from_secs(8));
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
}

/// Seconds, a date, or nonsense: nothing is asked before the time that the server named, and no year is waited for.
pub fn retry_05_nothing_is_asked_before_the_time_that_the_server_named<C: Client>() {
    const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";
    let table = [
        (429, "7", Some(Duration::from_secs(6)), Duration::from_secs(2)),
        (503, "7", Some(Duration::from_secs(6)), Duration::from_secs(2)),
        (400, "7", Some(Duration::from_secs(6)), Duration::from_secs(2)),
        (429, "Tue, 15 Nov 1994 08:13:31 GMT", Some(Duration::from_secs(58)), Duration::from_secs(3)),
        (429, "soon", None, Duration::from_secs(61)),
        (429, "-7", None, Duration::from_secs(61)),
        (429, "31536000", Some(Duration::from_secs(3500)), Duration::from_secs(101)),
    ];
    for (status, after, early, rest) in table {
        let world = World::expired();
        let put_off = Response::new(status).header("Date", DATE).header("Retry-After", after);
        world.auth.script([Step::new().answer(put_off)]);
        let client = world.client::<C>();
        assert_eq!(
            problem(&client, &Spec::get(world.api.url("/a"))).cause,
            Some(Cause::Transient),
            "{after}"
        );
        if let Some(early) = early {
            world.setup.clock.advance(early);
            assert_eq!(
                problem(&client, &Spec::get(world.api.url("/a"))).cause,
                Some(Cause::Transient),
                "{after}"
            );
            assert_eq!(world.token_requests(), 1, "{status} {after}");
        }
        world.setup.clock.advance(rest);
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{status} {after}");
        assert_eq!(world.token_requests(), 2);
    }
}

/// Whatever the API does, only so many exchanges begin in a while.
pub fn core_11_an_api_that_always_refuses_cannot_cause_a_flood<C: Client>() {
    let mut world = World::new();
    // So that nothing but the rate holds back.
    world.setup.config.breaker = u32::MAX;
    world.api.change(|policy| policy.refuse = Refuse::All);
    let client = world.client::<C>();
    let causes: Vec<_> = (0..12)
        .filter_map(|_| client.send(&Spec::get(world.api.url("/a"))).err().map(|problem| problem.cause))
        .collect();
    assert_eq!(causes, [Some(Cause::Transient); 7]);
    assert_eq!(world.token_requests(), 5);

    world.setup.clock.advance(Duration::from_secs(31));
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 401);
    // One before the request is sent, since the newest token is known to be refused, and one for its own refusal.
    assert_eq!(world.token_requests(), 7);
}

/// The token endpoint takes the request and never answers: the exchange is given up, and the callers are served.
pub fn core_03_a_token_endpoint_that_never_answers_is_given_up<C: Client>() {
    let mut world = World::expired();
    world.setup.config.exchange_limit = Duration::from_millis(300);
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2);

    // Later refreshes are none the worse for it.
    world.expire();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a").last(), Some(&Some(2)));
}

/// Without a refresh token the refusal is handed back as it came, and nobody is asked for anything.
pub fn core_10_without_a_refresh_token_the_refusal_is_the_answer<C: Client>() {
    let mut world = World::expired();
    world.setup.refresh_token = None;
    let client = world.client::<C>();
    for _ in 0..2 {
        let problem = problem(&client, &Spec::get(world.api.url("/a")));
        assert_eq!(problem.cause, Some(Cause::NeedsSignIn));
        if let Some(refusal) = problem.refusal {
            assert_eq!((refusal.status, &*refusal.body), (401, &br#"{"message":"unauthorized"}"#[..]));
        }
    }
    assert!(!world.generations("/a").is_empty());
    assert!(world.auth.log().is_empty());
}

/// One session waits, another is well.
pub fn core_18_sessions_do_not_hold_up_each_other<C: Client>() {
    let stuck = World::expired();
    let gate = Gate::new();
    stuck.auth.script([Step::new().hold_before(&gate)]);
    let waiting = stuck.client::<C>();
    thread::scope(|scope| {
        let late = scope.spawn(|| answer(&waiting, &Spec::get(stuck.api.url("/a"))).status);
        assert!(gate.wait_arrived(1, SOON));

        let world = World::expired();
        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
        assert!(!late.is_finished());
        gate.open();
        assert_eq!(late.join().expect("no panic"), 200);
    });
}
