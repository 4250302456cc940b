use super::{
    Client, Format, Spec,
    world::{World, answer, problem},
};
use crate::server::{Response, Step};

/// A session that its server knows by a cookie, and an API that does too.
fn world() -> World {
    let mut world = World::new();
    world.setup.format = Format::Cookie;
    world.setup.token_endpoint = world.auth.url("/cookie");
    world
}

/// A 204 with cookies is a new token, which travels in the `Cookie` field to allowed origins only; the repetition has the
/// CSRF value that came with it.
pub fn cook_02_03_sec_03_a_204_counts_and_its_cookies_go_where_a_token_goes<C: Client>() {
    let world = world();
    let elsewhere = world.elsewhere();
    let renewed =
        Response::new(204).header("Set-Cookie", "session=s2; HttpOnly").header("Set-Cookie", "csrf=c2");
    world.auth.script([Step::new().answer(renewed)]);
    world.api.script([
        Step::new().answer(Response::new(401)),
        Step::new().answer(Response::new(200)),
        Step::new().answer(Response::new(307).header("Location", &elsewhere.url("/b"))),
    ]);
    let client = world.client::<C>();
    let request = || Spec::get(world.api.url("/a")).header("Cookie", "theme=dark");
    assert_eq!(answer(&client, &request()).status, 200);
    // Wherever this one leads, there are no cookies.
    let _ = client.send(&request());

    let seen = world.api.log();
    let cookie = |index: usize| seen[index].headers.get("cookie").map(ToOwned::to_owned);
    assert_eq!(cookie(1).as_deref(), Some("theme=dark; session=s2; csrf=c2"));
    assert_eq!(
        (seen[1].headers.get("authorization"), seen[1].headers.get("x-csrf-token")),
        (None, Some("c2"))
    );
    assert!(elsewhere.log().iter().all(|seen| seen.headers.get("cookie").is_none()));
    assert_eq!(world.token_requests(), 1);
}

/// The refresh cookie rotates and is presented once each; it never goes to the API. Where there is none the server is
/// asked all the same, and its 401 ends the session.
pub fn cook_01_a_refresh_cookie_rotates_and_its_refusal_is_final<C: Client>() {
    let world = world();
    let client = world.client::<C>();
    for _ in 0..2 {
        world.expire();
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    }
    let presented: Vec<_> = world.auth.token_requests().into_iter().map(|seen| seen.refresh_token).collect();
    assert_eq!(presented.len(), 2);
    assert_eq!(presented[0].as_ref(), Some(&world.issued.refresh_token));
    assert_ne!(presented[0], presented[1]);
    assert!(world.api.log().iter().all(|seen| seen.headers.get("cookie").is_none()));

    let mut world = self::world();
    world.expire();
    world.setup.refresh_token = None;
    let client = world.client::<C>();
    world.auth.script([Step::new().answer(Response::new(401)), Step::new().answer(Response::new(401))]);
    for _ in 0..2 {
        let cause = problem(&client, &Spec::get(world.api.url("/a"))).cause;
        assert_eq!(cause, Some(token_refresh_core::Cause::NeedsSignIn));
    }
    assert_eq!(world.token_requests(), 1);
}
