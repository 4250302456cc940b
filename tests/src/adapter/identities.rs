//! Requests of one user, when another signs in or nobody is left.

use std::thread;

use token_refresh_core::Cause;
use token_refresh_driver::Session;

use super::{
    Client, Spec,
    setup::grant,
    world::{SOON, World, answer, problem},
};
use crate::server::{Gate, Issued, Step};

/// Whoever waits for a token of one user hears that it is over, and gets no token of the next one; what the exchange
/// under way brings is revoked and used by nobody.
pub fn sess_01_02_who_waits_for_one_user_gets_no_token_of_the_next<C: Client>() {
    for sign_out in [true, false] {
        let mut world = World::expired();
        world.setup.revocation_endpoint = Some(world.auth.url("/revoke"));
        let client = world.client::<C>();
        let gate = Gate::new();
        world.auth.script([Step::new().on("/token").hold_after(&gate)]);
        let next = world.auth.issue();
        thread::scope(|scope| {
            let caller = scope.spawn(|| problem(&client, &Spec::get(world.api.url("/first"))));
            assert!(gate.wait_arrived(1, SOON));
            if sign_out {
                client.session().sign_out();
            }
            sign_in(client.session(), &next);
            assert_eq!(caller.join().expect("no panic").cause, Some(Cause::NeedsSignIn));
            gate.open();
        });
        client.session().settle(SOON).expect("the orphan is revoked");

        assert_eq!(answer(&client, &Spec::get(world.api.url("/next"))).status, 200);
        assert_eq!(world.families("/first"), [Some(1)], "refused once, and not repeated");
        assert_eq!(world.families("/next"), [Some(2)]);
        let orphan = world.auth.current(1).expect("a session");
        assert_ne!(orphan, world.issued, "the exchange went on and rotated");
        assert_eq!(world.auth.families_revoked(), 1);
        let revoked = world.auth.log().into_iter().filter(|seen| seen.target == "/revoke");
        let revoked: Vec<_> = revoked.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
        assert!(revoked.iter().any(|form| form.contains(&orphan.refresh_token)), "{revoked:?}");
        assert!(
            world
                .api
                .log()
                .iter()
                .all(|seen| seen.carried.is_none_or(|tag| tag.family != 1 || tag.generation == 0))
        );
    }
}

/// A refusal that comes after its user has gone starts nothing, and the request is not repeated as the next user.
pub fn sess_03_a_late_refusal_is_not_repeated_as_the_next_user<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let gate = Gate::new();
    world.api.script([Step::new().on("/first").hold_after(&gate)]);
    let next = world.auth.issue();
    thread::scope(|scope| {
        let caller = scope.spawn(|| problem(&client, &Spec::get(world.api.url("/first"))));
        assert!(gate.wait_arrived(1, SOON));
        sign_in(client.session(), &next);
        gate.open();
        let problem = caller.join().expect("no panic");
        assert_eq!(problem.cause, Some(Cause::NeedsSignIn));
        assert_eq!(problem.refusal.expect("the refusal").status, 401);
    });
    assert_eq!(world.families("/first"), [Some(1)]);
    assert_eq!(world.token_requests(), 0);
    assert_eq!(answer(&client, &Spec::get(world.api.url("/next"))).status, 200);
    assert_eq!(world.families("/next"), [Some(2)]);
}

/// A session that is signed out sends nothing in anybody's name.
pub fn sess_01_after_a_sign_out_nothing_is_sent<C: Client>() {
    let world = World::new();
    let client = world.client::<C>();
    client.session().sign_out();

    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::NeedsSignIn));
    assert!(world.api.log().is_empty() && world.auth.log().is_empty());
}

fn sign_in(session: &Session, tokens: &Issued) {
    session.sign_in(grant(&tokens.access_token, Some(&tokens.refresh_token), None));
}
