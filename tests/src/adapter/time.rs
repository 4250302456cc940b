//! What a client makes of the time that passes.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::json;
use token_refresh_core::Cause;

use super::{
    Client, Content, Spec,
    world::{AN_HOUR, SOON, World, answer, problem},
};
use crate::server::{Gate, Response, Step};

/// A token that is known to be over is not sent.
pub fn auth_06_an_expired_token_is_replaced_before_it_is_sent<C: Client>() {
    let mut world = World::expired();
    world.setup.lifetime = Some(Duration::ZERO);

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// The machine slept for two hours: the first request renews the token before it sends it.
pub fn time_04_a_token_gets_older_while_the_machine_sleeps<C: Client>() {
    let mut world = World::new();
    world.setup.lifetime = Some(AN_HOUR);
    let client = world.client::<C>();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);

    world.setup.clock.advance(2 * AN_HOUR);
    world.expire();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// A token with most of its life before it is revoked: the refusal counts, whatever the clock says.
pub fn time_05_a_refusal_counts_long_before_the_end<C: Client>() {
    let mut world = World::new();
    world.setup.lifetime = Some(AN_HOUR);
    let client = world.client::<C>();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);

    world.auth.revoke(&world.issued.access_token);
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// Tokens that are over as soon as they come serve whoever waited for them, one exchange for each round, and no more of
/// them than any other.
pub fn time_06_a_token_without_a_lifetime_serves_its_round<C: Client>() {
    let mut world = World::expired();
    world.setup.lifetime = Some(Duration::ZERO);
    world.auth.change(|policy| policy.expires_in = Some(json!(0)));
    let client = world.client::<C>();
    for round in 1..=5 {
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
        assert_eq!(world.generations("/a").last(), Some(&Some(round)));
    }
    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Transient));
    assert_eq!((world.api.log().len(), world.token_requests()), (5, 5));
}

/// What is in an access token is not looked at: this one says of itself that it is long over.
pub fn time_07_an_access_token_is_not_looked_into<C: Client>() {
    let part = |value: &serde_json::Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let (head, claims) =
        (part(&json!({ "alg": "none", "typ": "at+jwt" })), part(&json!({ "iat": 0, "exp": 1 })));
    let mut world = World::new();
    world.setup.access_token = format!("{head}.{claims}.c2lnbmF0dXJl");
    world.setup.lifetime = Some(AN_HOUR);
    world.api.script([Step::new().answer(Response::new(200))]);

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.token_requests(), 0);
}

/// Near its end a token is renewed behind the backs of the callers: nobody waits for the authorization server.
pub fn core_16_near_the_end_nobody_waits<C: Client>() {
    let mut world = World::new();
    world.setup.lifetime = Some(Duration::from_secs(600));
    let client = world.client::<C>();
    // The soft end is 60 s before the end, and up to 10 s more; the hard end is 10 s before it.
    world.setup.clock.advance(Duration::from_secs(560));
    let gate = Gate::new();
    world.auth.script([Step::new().hold_after(&gate)]);

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert!(gate.wait_arrived(1, SOON), "the refresh has begun");
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    gate.open();
    client.session().settle(SOON).expect("the refresh ends");
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// Content that can be sent only once goes with a token that is not about to end: it waits for the refresh that others
/// have in the background. If that fails, the present token has to do. For adapters that know what content is before
/// they send it.
pub fn rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token<C: Client>() {
    for fails in [false, true] {
        let mut world = World::new();
        world.setup.lifetime = Some(Duration::from_secs(600));
        let client = world.client::<C>();
        world.setup.clock.advance(Duration::from_secs(560));
        if fails {
            world.auth.script([Step::new().answer(Response::json(429, &json!({})))]);
        }
        let stream = Content::Stream(vec![b'x'; 200_000]);

        let request = Spec { content: stream, ..Spec::new("POST", world.api.url("/a")) };
        assert_eq!(answer(&client, &request).status, 200);
        assert_eq!(world.generations("/a"), [Some(u32::from(!fails))]);
    }
}
