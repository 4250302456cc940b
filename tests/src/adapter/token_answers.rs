//! What is made of the answers of a token endpoint.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use token_refresh_core::{
    Cause,
    wire::{ClientAuth, IdTokenSubject},
};

use super::{
    Client, Format, Spec,
    world::{AN_HOUR, World, answer, problem, says},
};
use crate::server::{Cut, Response, Reuse, Rotation, Step};

/// The scheme follows the type, whatever its case; a token of a type that nobody here understands is not used.
pub fn auth_02_a_token_is_used_as_its_type_says_or_not_at_all<C: Client>() {
    for (token_type, used) in [
        (Some("bearer"), true),
        (Some("BEARER"), true),
        (Some("DPoP"), false),
        (Some("mac"), false),
        (None, false),
    ] {
        let world = World::expired();
        world.auth.change(|policy| policy.token_type = token_type.map(str::to_owned));
        let client = world.once_only::<C>();

        let sent = client.send(&Spec::get(world.api.url("/a")));
        assert_eq!(sent.is_ok_and(|answer| answer.status == 200), used, "{token_type:?}");
        let log = world.api.log();
        let schemes: Vec<_> =
            log.iter().filter_map(|seen| seen.headers.get("authorization")?.split(' ').next()).collect();
        assert_eq!(schemes, vec!["Bearer"; if used { 2 } else { 1 }], "{token_type:?}");
    }
}

/// What cannot stand in a field is refused on receipt: no field is injected, and nothing is sent.
pub fn auth_03_a_token_that_cannot_stand_in_a_field_is_not_sent<C: Client>() {
    for bad in ["a\r\nX-Injected: y", "a\nb", "a b", "\u{e4}", "", "a\u{0}", "a\u{7f}"] {
        let world = World::expired();
        let grant = json!({ "access_token": bad, "token_type": "Bearer", "expires_in": 3600 });
        world.auth.script([Step::new().answer(Response::json(200, &grant))]);

        problem(&world.once_only::<C>(), &Spec::get(world.api.url("/a")));
        assert_eq!(world.generations("/a"), [Some(0)], "{bad:?}");
        assert!(world.api.log().iter().all(|seen| seen.headers.get("x-injected").is_none()));
    }
}

/// Members that nobody asked for do no harm.
pub fn xrsp_01_what_is_not_needed_is_ignored<C: Client>() {
    let world = World::expired();
    world.auth.script([edited(|grant| {
        grant["x"] = json!({ "access_token": [null, { "y": "z".repeat(50_000) }], "error": "no" });
        grant["not_before_policy"] = json!(0);
    })]);

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
}

/// An answer that is too long, cut off, no JSON, or without a token: nothing of it is used, and since the server has
/// most likely rotated, the refresh token is presented once more at most.
pub fn xrsp_01_09_an_answer_that_cannot_be_used_may_have_cost_the_refresh_token<C: Client>() {
    let page =
        || Step::new().edit(|_| Response::new(200).header("Content-Type", "text/html").body("<html>Sign in"));
    let unusable: [fn() -> Step; 6] = [
        || edited(|grant| grant["x"] = json!("x".repeat(2 << 20))),
        || edited(|grant| drop(grant.as_object_mut().map(|grant| grant.remove("access_token")))),
        || edited(|grant| grant["access_token"] = json!(17)),
        || {
            Step::new()
                .edit(|answer| Response { body: b"access_token=at&token_type=bearer".to_vec(), ..answer })
        },
        || Step::new().cut(Cut::InBody(20)),
        || Step::new().edit(|_| Response::new(204)),
    ];
    for step in unusable.iter().map(|step| step()).chain([page()]) {
        // The server repeats its answer if it is asked in time.
        let world = World::expired();
        world.auth.change(|policy| policy.reuse = Reuse::Within(AN_HOUR));
        world.auth.script([step.clone()]);
        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200, "{step:?}");
        assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2, "{step:?}");

        // It does not, and whoever asks again is taken for a thief: once, and not more.
        let world = World::expired();
        world.auth.script([step.clone()]);
        let client = world.client::<C>();
        assert_eq!(
            problem(&client, &Spec::get(world.api.url("/a"))).cause,
            Some(Cause::NeedsSignIn),
            "{step:?}"
        );
        problem(&client, &Spec::get(world.api.url("/a")));
        assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2, "{step:?}");
        assert!(world.generations("/a").iter().all(|generation| *generation == Some(0)));
    }
}

/// Some servers say 200 and mean an error.
pub fn xrsp_02_an_error_under_200_is_an_error<C: Client>() {
    let with = |member: &'static str, value: &'static str| edited(move |grant| grant[member] = json!(value));
    for (step, cause) in [
        (with("error", "invalid_grant"), Cause::NeedsSignIn),
        (says(200, "invalid_grant"), Cause::NeedsSignIn),
        (says(200, "invalid_client"), Cause::Misconfigured),
        (says(200, "temporarily_unavailable"), Cause::Transient),
    ] {
        let world = World::expired();
        world.auth.script([step.clone()]);

        let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
        assert_eq!(problem.cause, Some(cause), "{step:?}");
        assert_eq!(world.generations("/a"), [Some(0)], "{step:?}");
    }
}

/// No new refresh token, or the same again: the old one stays.
pub fn xrsp_03_without_a_new_refresh_token_the_old_one_stays<C: Client>() {
    for rotation in [Rotation::None, Rotation::Same] {
        let world = World::expired();
        world.auth.change(|policy| policy.rotation = rotation);
        let client = world.client::<C>();
        for round in 1..=3 {
            assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{rotation:?}");
            assert_eq!(world.auth.presentations(&world.issued.refresh_token), round, "{rotation:?}");
            world.expire();
        }
    }
}

/// A new refresh token replaces the old one at once; each is presented once.
pub fn xrsp_04_a_new_refresh_token_replaces_the_old_one<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let mut presented = Vec::new();
    for _ in 0..4 {
        presented.push(Some(world.auth.current(1).expect("a session").refresh_token));
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
        world.expire();
    }
    let seen: Vec<_> = world.auth.token_requests().into_iter().map(|request| request.refresh_token).collect();
    assert_eq!(seen, presented);
    assert_eq!(world.auth.families_revoked(), 0);
}

/// A lifetime that cannot be read is unknown and costs nothing; one that is over is good for the callers who waited.
pub fn xrsp_05_lifetimes_are_read_tolerantly<C: Client>() {
    let long =
        [json!("3600"), json!(3600.0), json!(1e18), json!("3600.5"), Value::Null, json!("soon"), json!([1])];
    let over = [json!(0), json!(-1), json!("0"), json!("-3600")];
    let long = long.into_iter().map(|value| (Some(value), 1)).chain([(None, 1)]);
    for (expires_in, exchanges) in long.chain(over.into_iter().map(|value| (Some(value), 2))) {
        let world = World::expired();
        world.auth.change(|policy| policy.expires_in.clone_from(&expires_in));
        let client = world.client::<C>();

        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{expires_in:?}");
        assert_eq!(world.generations("/a"), [Some(0), Some(1)], "{expires_in:?}");
        assert_eq!(answer(&client, &Spec::get(world.api.url("/b"))).status, 200, "{expires_in:?}");
        assert_eq!(world.token_requests(), exchanges, "{expires_in:?}");
    }
}

/// Less scope than before, or no word about it, is not "repaired" by asking again.
pub fn xrsp_06_less_scope_starts_nothing<C: Client>() {
    for scope in [json!("read"), json!(""), Value::Null] {
        let mut world = World::expired();
        world.setup.scope.push_str("read write");
        world.auth.script([edited(move |grant| grant["scope"] = scope.clone())]);
        let client = world.client::<C>();
        for _ in 0..3 {
            assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
        }
        assert_eq!(world.token_requests(), 1);
    }
}

/// The answer is for another user: nothing of it is used, and the session is over.
pub fn xrsp_08_another_users_answer_does_not_enter_the_session<C: Client>() {
    for (user, admitted) in [("alice", true), ("bob", false)] {
        let mut world = World::expired();
        world.setup.id_tokens_of = Some(IdTokenSubject::new("https://issuer.example", "alice", "test"));
        let claims = json!({ "iss": "https://issuer.example", "sub": user, "aud": ["test"] }).to_string();
        let id_token = format!("e30.{}.c2ln", Base64UrlUnpadded::encode_string(claims.as_bytes()));
        world.auth.script([edited(move |grant| grant["id_token"] = json!(id_token))]);
        let client = world.client::<C>();
        for _ in 0..2 {
            let sent = client.send(&Spec::get(world.api.url("/a")));
            let cause = sent.map(|answer| answer.status).map_err(|problem| problem.cause);
            assert_eq!(cause, if admitted { Ok(200) } else { Err(Some(Cause::NeedsSignIn)) }, "{user}");
        }
        let used = world.generations("/a").contains(&Some(1));
        assert_eq!((used, world.token_requests()), (admitted, 1), "{user}");
    }
}

/// Pages, unknown codes and descriptions end no session: tomorrow the same refresh token works.
pub fn xrsp_10_only_a_clear_word_ends_a_session<C: Client>() {
    let page =
        |status| Response::new(status).header("Content-Type", "text/html").body("<html>invalid_grant</html>");
    let unclear = [
        page(400),
        page(403),
        page(511),
        Response::new(401),
        Response::new(418),
        Response::json(400, &json!({ "error_description": "invalid_grant" })),
        Response::json(400, &json!({ "error": "expired", "error_description": "invalid_grant" })),
        Response::json(400, &json!({ "error": { "code": "invalid_grant" } })),
        Response::json(400, &json!(["invalid_grant"])),
        Response::new(400).body("invalid_grant"),
    ];
    for response in unclear {
        let world = World::expired();
        world.auth.script([Step::new().answer(response.clone())]);
        let client = world.client::<C>();

        let cause = problem(&client, &Spec::get(world.api.url("/a"))).cause;
        assert_eq!(cause, Some(Cause::Transient), "{response:?}");
        world.setup.clock.advance(AN_HOUR);
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{response:?}");
    }
    for status in [200, 400, 401, 403, 404, 429, 500, 503] {
        let world = World::expired();
        world.auth.script([says(status, "invalid_grant")]);
        let cause = problem(&world.client::<C>(), &Spec::get(world.api.url("/a"))).cause;
        assert_eq!(cause, Some(Cause::NeedsSignIn), "the code outranks {status}");
    }
}

/// What passes costs nobody the session: sooner or later the same refresh token works.
pub fn xrsp_11_core_09_what_passes_ends_no_session<C: Client>() {
    let statuses =
        [408, 425, 429, 500, 502, 503, 504, 599].map(|status| Step::new().answer(Response::new(status)));
    let codes = ["temporarily_unavailable", "server_error", "internal_failure"];
    let codes = codes.into_iter().flat_map(|code| [400, 500, 503].map(|status| says(status, code)));
    for step in statuses.into_iter().chain(codes) {
        let world = World::expired();
        world.auth.script([step.clone()]);
        let client = world.client::<C>();

        // What may have reached the token is asked once more at once.
        if let Err(problem) = client.send(&Spec::get(world.api.url("/a"))) {
            assert_eq!(problem.cause, Some(Cause::Transient), "{step:?}");
            assert_eq!(world.token_requests(), 1, "{step:?}");
            world.setup.clock.advance(AN_HOUR);
            assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{step:?}");
        }
        assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2, "{step:?}");
    }
}

/// What the operator has to mend stops everything until it is mended, and then the same refresh token works.
pub fn xrsp_12_what_the_operator_has_to_mend_keeps_the_refresh_token<C: Client>() {
    let codes = [
        (401, "invalid_client"),
        (400, "invalid_client"),
        (400, "unauthorized_client"),
        (400, "unsupported_grant_type"),
        (400, "invalid_target"),
        (400, "invalid_dpop_proof"),
    ];
    let statuses = [302, 307, 404, 405, 415].map(|status| Step::new().answer(Response::new(status)));
    for step in codes.into_iter().map(|(status, code)| says(status, code)).chain(statuses) {
        let world = World::expired();
        world.auth.script([step.clone()]);
        let client = world.client::<C>();
        for _ in 0..3 {
            let cause = problem(&client, &Spec::get(world.api.url("/a"))).cause;
            assert_eq!(cause, Some(Cause::Misconfigured), "{step:?}");
        }
        assert_eq!(world.token_requests(), 1, "{step:?}");

        client.session().reset();
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{step:?}");
        assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2, "{step:?}");
    }
}

/// Some servers say so when two use one refresh token at once, so it is presented once more; then it is misconfigured.
pub fn xrsp_12_invalid_request_is_tried_once_more<C: Client>() {
    let world = World::expired();
    world.auth.script([says(400, "invalid_request")]);
    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.auth.presentations(&world.issued.refresh_token), 2);

    let world = World::expired();
    world.auth.script([says(400, "invalid_request"), says(400, "invalid_request")]);
    let client = world.client::<C>();
    for _ in 0..3 {
        let cause = problem(&client, &Spec::get(world.api.url("/a"))).cause;
        assert_eq!(cause, Some(Cause::Misconfigured));
    }
    assert_eq!(world.token_requests(), 2);
}

/// A scope that is not granted any more is left out once.
pub fn xreq_04_a_refused_scope_is_left_out_once<C: Client>() {
    let mut world = World::expired();
    world.setup.scope = String::from("read");
    world.auth.script([says(400, "invalid_scope")]);
    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    let asked = world.auth.log();
    let asked = asked.iter().map(|seen| String::from_utf8_lossy(&seen.body).contains("scope=read"));
    assert_eq!(asked.collect::<Vec<_>>(), [true, false]);
}

/// A bare 401 speaks about the client where the client has authenticated, and about the refresh token where there is no
/// client; a code outranks both.
pub fn xrsp_13_whom_a_401_of_the_token_endpoint_is_about<C: Client>() {
    let client = || ClientAuth::Post { client_id: "test".to_owned(), client_secret: "secret".into() };
    let public = || ClientAuth::None { client_id: "test".to_owned() };
    let bare = || Step::new().answer(Response::new(401));
    for (format, client, step, cause) in [
        (Format::OAuth, client(), bare(), Cause::Misconfigured),
        (Format::OAuth, client(), says(401, "invalid_grant"), Cause::NeedsSignIn),
        (Format::Json, public(), bare(), Cause::NeedsSignIn),
        (Format::Json, public(), says(401, "invalid_client"), Cause::Misconfigured),
        (Format::Json, public(), says(401, "temporarily_unavailable"), Cause::Transient),
    ] {
        let mut world = World::expired();
        (world.setup.format, world.setup.client) = (format, client);
        if format == Format::Json {
            world.setup.token_endpoint = world.auth.url("/refresh");
        }
        world.auth.script([step.clone()]);

        let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
        assert_eq!(problem.cause, Some(cause), "{format:?} {step:?}");
        assert_eq!(world.token_requests(), 1);
    }
}

/// The token endpoint's grant, changed after the server acted on the request.
pub(super) fn edited(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Step {
    Step::new().edit(move |answer| {
        let mut grant = serde_json::from_slice(&answer.body).expect("a grant is JSON");
        change(&mut grant);
        Response { body: grant.to_string().into_bytes(), ..answer }
    })
}
