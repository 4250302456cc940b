use std::{thread, time::Duration};

use token_refresh_core::Cause;

use super::{
    Client, Replay, Spec,
    world::{SOON, World, answer, credentials_seen, problem},
};
use crate::server::{ClientAuth, Gate, Response, Step};

pub(super) const HERD: usize = 50;

/// No part of the form reaches another address; a redirect is the operator's to mend.
pub fn xreq_06_a_redirect_of_the_token_request_is_not_followed<C: Client>() {
    for status in [301, 302, 303, 307, 308] {
        let world = World::expired();
        let elsewhere = world.elsewhere();
        let location = elsewhere.url("/token");
        world.auth.script([Step::new().answer(Response::new(status).header("Location", &location))]);

        let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
        assert_eq!(problem.cause, Some(Cause::Misconfigured), "redirected by {status}");
        assert_eq!((elsewhere.log().len(), world.token_requests()), (0, 1));
    }
}

/// The token endpoint is on an allowed origin and answers 401: the exchange does not wait for itself.
pub fn core_15_a_refusal_at_the_token_endpoint_opens_nothing<C: Client>() {
    let mut world = World::expired();
    world.setup.origins.push(world.auth.url(""));
    world.auth.script([Step::new().answer(Response::new(401))]);

    assert!(problem(&world.client::<C>(), &Spec::get(world.api.url("/a"))).refusal.is_some());
    assert_eq!(world.token_requests(), 1);
    assert!(world.auth.log().iter().all(|seen| seen.headers.get("authorization").is_none()));
}

/// Fifty requests are refused at once; one asks for a new token, and all get their answer.
pub fn core_01_a_herd_makes_one_token_request<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();

    assert_eq!(herd(&world, &client).iter().filter(|status| **status == Some(200)).count(), HERD);
    assert_eq!((world.api.answered(401), world.api.answered(200)), (HERD, HERD));
    assert_eq!(world.token_requests(), 1);
}

/// The one exchange fails for good: fifty callers hear of it, and none tries again.
pub fn core_05_a_herd_shares_one_failure<C: Client>() {
    let world = World::expired();
    world.auth.revoke_family(1);
    let client = world.client::<C>();

    assert_eq!(herd(&world, &client), [None; HERD]);
    assert_eq!(world.api.answered(401), HERD);
    assert_eq!(world.token_requests(), 1);
}

/// Sends a herd whose answers leave together, and collects its statuses.
pub(super) fn herd(world: &World, client: &impl Client) -> Vec<Option<u16>> {
    let gate = Gate::new();
    world.api.script((0..HERD).map(|_| Step::new().hold_after(&gate)));
    thread::scope(|scope| {
        let send = || client.send(&Spec::get(world.api.url("/a"))).ok().map(|answer| answer.status);
        let callers: Vec<_> = (0..HERD).map(|_| scope.spawn(send)).collect();
        assert!(gate.wait_arrived(HERD, SOON));
        gate.open();
        callers.into_iter().map(|caller| caller.join().expect("no panic")).collect()
    })
}

/// A refusal that comes after the refresh is repeated with the new token, and nothing is exchanged for it.
pub fn core_04_a_late_refusal_starts_nothing<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let gate = Gate::new();
    world.api.script([Step::new().on("/late").hold_after(&gate)]);
    thread::scope(|scope| {
        let late = scope.spawn(|| answer(&client, &Spec::get(world.api.url("/late"))));
        assert!(gate.wait_arrived(1, SOON));
        assert_eq!(answer(&client, &Spec::get(world.api.url("/prompt"))).status, 200);
        gate.open();
        assert_eq!(late.join().expect("no panic").status, 200);
    });
    assert_eq!(world.generations("/late"), [Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// A refusal counts against the token that was sent, not against the one that is current when it arrives.
pub fn auth_05_a_refusal_is_about_the_token_that_was_sent<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let gate = Gate::new();
    world.api.script([Step::new().on("/late").hold_after(&gate)]);
    let stream = Spec { replay: Replay::Never, ..Spec::get(world.api.url("/late")) };
    thread::scope(|scope| {
        let late = scope.spawn(|| answer(&client, &stream));
        assert!(gate.wait_arrived(1, SOON));
        assert_eq!(answer(&client, &Spec::get(world.api.url("/prompt"))).status, 200);
        gate.open();
        assert_eq!(late.join().expect("no panic").status, 401);
    });
    assert_eq!(answer(&client, &Spec::get(world.api.url("/after"))).status, 200);
    assert_eq!((world.generations("/late"), world.generations("/after")), (vec![Some(0)], vec![Some(1)]));
    assert_eq!(world.token_requests(), 1);
}

/// Tokens that are taken before they are refused say that refreshing helps, however often it happens.
pub fn core_12_accepted_tokens_keep_the_breaker_closed<C: Client>() {
    let world = World::new();
    let client = world.client::<C>();
    for generation in 1..=4 {
        world.expire();
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
        assert_eq!(world.generations("/a").last(), Some(&Some(generation)));
    }
    assert_eq!(world.token_requests(), 4);
}

/// The authorization server does not answer: the caller gets its refusal back in time.
pub fn core_13_a_caller_waits_no_longer_than_its_limit<C: Client>() {
    let mut world = World::expired();
    world.setup.time_limit = Duration::from_millis(50);
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);

    let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!(problem.cause, Some(Cause::Transient));
    assert_eq!(problem.refusal.expect("the refusal").status, 401);
    assert_eq!(world.generations("/a"), [Some(0)], "nothing is repeated after the limit (RPLY-06)");
    gate.open();
}

/// The only caller gives up while the server is at work: the new token is kept, and the next caller gets it.
pub fn core_14_a_caller_who_gives_up_does_not_lose_the_token<C: Client>() {
    let mut world = World::expired();
    world.setup.time_limit = Duration::from_secs(1);
    let gate = Gate::new();
    world.auth.script([Step::new().hold_after(&gate)]);
    let client = world.client::<C>();

    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Transient));
    gate.open();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/b"))).status, 200);
    assert_eq!(world.generations("/b").last(), Some(&Some(1)));
    assert_eq!(world.token_requests(), 1);
}

/// A refresh that works and one that does not, by a client that authenticates. What was shown is searched for the secret
/// when the world ends.
pub fn sec_04_a_client_secret_is_shown_nowhere<C: Client>() {
    let world = World::expired().with_client_secret("cs-2b8e0f6d91a44c57");
    let client = world.client::<C>();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);

    world.auth.expire(&world.auth.current(1).expect("a session").access_token);
    world
        .auth
        .change(|policy| policy.client = ClientAuth::Basic { id: "test".into(), secret: "other".into() });
    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Misconfigured));
}

/// Whatever an error shows, and whatever it is an error of, holds no token.
pub fn sec_04_errors_show_no_secrets<C: Client>() {
    let world = World::expired();
    let elsewhere = world.elsewhere();
    world.auth.revoke_family(1);
    let client = world.client::<C>();

    let texts: Vec<_> = (0..2).map(|_| problem(&client, &Spec::get(world.api.url("/a"))).text).collect();
    for text in texts {
        assert!(!text.is_empty());
        for secret in [&world.issued.access_token, &world.issued.refresh_token] {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
    assert_eq!(credentials_seen(&elsewhere), 0);
}
