use std::time::Duration;

use token_refresh_driver::StepUp;

use super::{
    Client, RefusedIf, Spec,
    world::{World, answer},
};
use crate::server::{Challenge, Refuse, ResourcePolicy, Response, Step};

/// The challenge may stand among others, in one field or in several, in any case, and after text that looks like one.
pub fn chal_01_a_refusal_is_found_among_other_challenges<C: Client>() {
    let refused = [
        vec![r#"Basic realm="x, error=\"invalid_scope\"", Bearer error=invalid_token"#],
        vec!["Negotiate", r#"bearer REALM="a", ERROR="invalid_token""#],
        vec![r#"New token68==, Bearer error="invalid_token", unknown="1", Basic realm="y""#],
    ];
    let not_refused = [
        vec![r#"Basic realm="Bearer error=\"invalid_token\"""#],
        vec![r#"Bearer error="insufficient_scope", scope="invalid_token""#],
        vec!["Basic realm=x, error=invalid_token"],
    ];
    let cases =
        refused.into_iter().map(|fields| (fields, true)).chain(not_refused.map(|fields| (fields, false)));
    for (fields, refuses) in cases {
        let raw = Challenge::Raw(fields.iter().map(|field| (*field).to_owned()).collect());
        let mut world = World::refusing(ResourcePolicy { challenge: raw, ..Default::default() });
        world.setup.strict = true;

        let status = answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status;
        assert_eq!((status, world.token_requests()), if refuses { (200, 1) } else { (401, 0) }, "{fields:?}");
    }
}

/// The plain case: one exchange, one repetition, and the caller notices nothing.
pub fn chal_02_invalid_token_is_refreshed_and_the_request_repeated<C: Client>() {
    let world = World::expired();

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// A server that wants a nonce in a proof of possession does not refuse the token.
pub fn chal_03_a_demand_for_a_nonce_is_handed_back<C: Client>() {
    assert_eq!(handed_back::<C>(401, &Challenge::UseDpopNonce("n1".to_owned())), None);
}

/// More scope cannot be had by a refresh, whatever the status.
pub fn chal_04_insufficient_scope_is_handed_back<C: Client>() {
    for status in [401, 403] {
        let step_up = handed_back::<C>(status, &Challenge::InsufficientScope);
        let Some(StepUp::Scope { scope: Some(scope) }) = step_up else { panic!("{step_up:?}") };
        assert_eq!(scope, "things:write");
    }
}

/// Nor can a better authentication.
pub fn chal_05_insufficient_user_authentication_is_handed_back<C: Client>() {
    let step_up = handed_back::<C>(401, &Challenge::InsufficientUserAuthentication);
    let Some(StepUp::UserAuthentication { acr_values: None, max_age: Some(age) }) = step_up else {
        panic!("{step_up:?}")
    };
    assert_eq!(age, Duration::from_secs(5 * 60));
}

/// By themselves these two statuses say nothing about the token.
pub fn chal_06_a_403_or_407_is_handed_back<C: Client>() {
    for status in [403, 407] {
        for challenge in [Challenge::None, Challenge::Bare] {
            assert_eq!(handed_back::<C>(status, &challenge), None);
        }
    }
}

/// The server refuses every token: the caller gets the answer whole, with what the adapter understands of it, and nothing
/// is exchanged or repeated.
fn handed_back<C: Client>(status: u16, challenge: &Challenge) -> Option<StepUp> {
    let world = World::new();
    world.api.change(|policy| {
        *policy = ResourcePolicy { refuse: Refuse::All, status, challenge: challenge.clone() }
    });

    let answer = answer(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!((answer.status, &*answer.body), (status, &br#"{"message":"unauthorized"}"#[..]));
    assert_eq!(world.generations("/a"), [Some(0)]);
    assert_eq!(world.token_requests(), 0);
    answer.step_up
}

/// The caller's predicate reads the answer and decides; another 403 stays what it is.
pub fn chal_06_a_403_counts_where_the_caller_says_so<C: Client>() {
    let mut world = World::new();
    world.setup.refused_if =
        Some(RefusedIf { statuses: vec![403], predicate: |_, content| content == b"who are you?" });
    world.api.script([
        Step::new().on("/a").answer(Response::new(403).body("who are you?")),
        Step::new().on("/b").answer(Response::new(403).body("not yours")),
    ]);
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    assert_eq!(answer(&client, &Spec::get(world.api.url("/b"))).status, 403);
    assert_eq!(world.generations("/b"), [Some(1)]);
    assert_eq!(world.token_requests(), 1);
}

/// A 401 without an error code is a refusal by default; the strict setting wants to be told.
pub fn chal_07_a_bare_401_counts_unless_strict<C: Client>() {
    for challenge in [Challenge::None, Challenge::Bare] {
        for (strict, status, attempts) in [(false, 200, vec![Some(0), Some(1)]), (true, 401, vec![Some(0)])] {
            let mut world =
                World::refusing(ResourcePolicy { challenge: challenge.clone(), ..Default::default() });
            world.setup.strict = strict;

            assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, status);
            assert_eq!(world.generations("/a"), attempts);
        }
    }
}

/// `invalid_token` is a refusal under any 4xx.
pub fn chal_09_the_error_code_outranks_the_status<C: Client>() {
    for status in [400, 403] {
        let world = World::refusing(ResourcePolicy { status, ..Default::default() });

        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
        assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    }
}

/// Statuses of servers with conventions of their own, under any of them.
pub fn chal_10_any_status_can_be_a_refusal_by_the_callers_rule<C: Client>() {
    for status in [200, 400, 419, 440, 498] {
        let mut world = World::new();
        world.setup.refused_if = Some(RefusedIf {
            statuses: vec![status],
            predicate: |_, content| content == b"{\"error\":\"expired\"}",
        });
        world.api.script([Step::new().answer(Response::new(status).body("{\"error\":\"expired\"}"))]);

        assert_eq!(
            answer(&world.client::<C>(), &Spec::post(world.api.url("/a"), "x")).status,
            200,
            "{status}"
        );
        assert_eq!(world.generations("/a"), [Some(0), Some(1)], "{status}");
        assert_eq!(world.token_requests(), 1);
    }
}

/// The caller's own code is contained.
pub fn chal_10_a_predicate_that_panics_refuses_nothing<C: Client>() {
    let mut world = World::new();
    world.setup.refused_if =
        Some(RefusedIf { statuses: vec![403], predicate: |status, _| panic!("no idea what {status} means") });
    world.api.script([Step::new().answer(Response::new(403).body("not yours"))]);

    let answer = answer(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!((answer.status, &*answer.body), (403, &b"not yours"[..]));
    assert_eq!(world.token_requests(), 0);
}

/// The predicate has read from the content, and the caller still gets all of it.
pub fn chal_10_content_is_complete_after_a_look_at_it<C: Client>() {
    let mut world = World::new();
    world.setup.refused_if =
        Some(RefusedIf { statuses: vec![200, 418], predicate: |_, content| content.is_empty() });
    let client = world.client::<C>();
    for (status, length) in [(200, 1), (418, 20_000), (200, 300_000)] {
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        world.api.script([Step::new().answer(Response::new(status).body(content.clone()))]);

        let answer = answer(&client, &Spec::get(world.api.url("/a")));
        assert_eq!(answer.status, status);
        assert!(answer.body == content, "{length} bytes became {}", answer.body.len());
    }
}

/// The server refuses the new token too: its second answer is handed back as it came, and there is no third attempt.
pub fn chal_11_the_second_refusal_is_the_answer<C: Client>() {
    let world = World::expired();
    world.api.script([
        Step::new(),
        Step::new().answer(
            Response::new(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"").body("again"),
        ),
    ]);

    let answer = answer(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!((answer.status, &*answer.body), (401, &b"again"[..]));
    let challenge = answer.headers.iter().find(|(name, _)| name == "www-authenticate");
    assert_eq!(challenge.map(|(_, value)| value.as_str()), Some("Bearer error=\"invalid_token\""));
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    assert_eq!(world.token_requests(), 1);
}
