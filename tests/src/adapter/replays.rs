use token_refresh_core::Cause;

use super::{
    Client, Content, Replay, Spec,
    world::{World, answer, problem},
};
use crate::server::{Challenge, Cut, Refuse, ResourcePolicy, Response, Step, digest};

/// A request goes out at most twice, the second time with a newer token, whatever the server answers.
pub fn rply_01_i_17_a_request_is_repeated_once_and_with_a_newer_token<C: Client>() {
    for (refuse, status) in [(Refuse::Next(1), 200), (Refuse::Next(2), 401), (Refuse::All, 401)] {
        let world = World::new();
        world.api.change(|policy| policy.refuse = refuse);

        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, status);
        assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
        assert_eq!(world.token_requests(), 1);
    }
}

/// Method, target, fields and content are those of the first attempt, byte for byte; only the credential is new.
pub fn rply_02_the_repetition_is_the_same_request<C: Client>() {
    let world = World::expired();
    let content: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let request = Spec::post(world.api.url("/a?x=1&x=%20"), content.clone())
        .header("content-type", "application/x-things")
        .header("idempotency-key", "8e03978e")
        .header("x-twice", "one")
        .header("x-twice", "two");

    assert_eq!(answer(&world.client::<C>(), &request).status, 200);
    let log = world.api.log();
    let [first, second] = &log[..] else { panic!("{} attempts", log.len()) };
    assert_eq!((&first.method, &first.target), (&second.method, &second.target));
    assert_eq!((first.body_len, first.body_digest), (content.len(), digest(&content)));
    assert_eq!((second.body_len, second.body_digest), (content.len(), digest(&content)));
    assert_eq!(first.headers.get("content-length"), Some("100000"), "content from memory has a length");
    let fields = |seen: &crate::server::Seen| {
        let other = seen.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        let mut fields: Vec<_> =
            other.map(|(name, value)| format!("{name}: {value}").to_lowercase()).collect();
        fields.sort();
        fields
    };
    assert_eq!(fields(first), fields(second));
    assert_eq!(world.generations("/a?x=1&x=%20"), [Some(0), Some(1)]);
}

/// The caller gets the refusal, after the refresh, so that the next call works.
pub fn rply_03_a_stream_is_not_repeated_but_the_token_is_refreshed<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let stream =
        Spec { content: Content::Stream(vec![b'x'; 200_000]), ..Spec::new("POST", world.api.url("/a")) };

    let refused = answer(&client, &stream);
    assert_eq!((refused.status, &*refused.body), (401, &br#"{"message":"unauthorized"}"#[..]));
    assert_eq!(world.token_requests(), 1);
    assert_eq!(answer(&client, &stream).status, 200);
    assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    assert_eq!(world.api.log().iter().map(|seen| seen.body_len).collect::<Vec<_>>(), [200_000, 200_000]);
    assert_eq!(world.token_requests(), 1);
}

/// Safe methods, PUT and DELETE are repeated after a bare 401; POST and PATCH only after one that names the token.
/// Either way the token is refreshed.
pub fn rply_04_methods_that_may_act_twice_need_a_clear_refusal<C: Client>() {
    let bare = [
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 200),
        ("PUT", 200),
        ("DELETE", 200),
        ("POST", 401),
        ("PATCH", 401),
    ];
    for (method, status) in bare {
        let world = World::refusing(ResourcePolicy { challenge: Challenge::Bare, ..Default::default() });
        assert_eq!(answer(&world.client::<C>(), &with_content(method, &world)).status, status, "{method}");
        assert_eq!(world.token_requests(), 1, "{method}");
    }
    for method in ["POST", "PATCH"] {
        let world = World::expired();
        assert_eq!(answer(&world.client::<C>(), &with_content(method, &world)).status, 200, "{method}");
        assert_eq!(world.generations("/a"), [Some(0), Some(1)]);
    }
}

/// The switch of the single request outranks both.
pub fn rply_04_the_callers_switch_decides<C: Client>() {
    for (method, replay, status) in [("GET", Replay::Never, 401), ("POST", Replay::Always, 200)] {
        let world = World::refusing(ResourcePolicy { challenge: Challenge::Bare, ..Default::default() });
        let request = with_content(method, &world).replay(replay);
        assert_eq!(answer(&world.client::<C>(), &request).status, status, "{method}");
        assert_eq!(world.token_requests(), 1, "{method}");
    }
}

fn with_content(method: &'static str, world: &World) -> Spec {
    let content = match method {
        "PUT" | "POST" | "PATCH" => Content::Bytes(b"{}".to_vec()),
        _ => Content::None,
    };
    Spec { content, ..Spec::new(method, world.api.url("/a")) }
}

/// Broken connections and broken servers are the caller's to deal with.
pub fn rply_06_nothing_else_is_repeated<C: Client>() {
    let world = World::new();
    let client = world.client::<C>();

    world.api.script([Step::new().answer(Response::new(503))]);
    assert_eq!(answer(&client, &Spec::post(world.api.url("/a"), "x")).status, 503);
    world.api.script([Step::new().cut(Cut::AfterProcessing)]);
    let problem = problem(&client, &Spec::post(world.api.url("/b"), "x"));
    assert_eq!((problem.refusal, problem.cause), (None, None), "the token is not to blame");

    assert_eq!((world.generations("/a").len(), world.generations("/b").len()), (1, 1));
    assert_eq!(world.token_requests(), 0);
}

/// The caller gets the API's own 401, readable as ever, and the class of what went wrong.
pub fn rply_08_a_failed_refresh_leaves_the_refusal_and_says_why<C: Client>() {
    let answers = [
        (Response::json(400, &serde_json::json!({ "error": "invalid_grant" })), Cause::NeedsSignIn),
        (Response::json(400, &serde_json::json!({ "error": "invalid_client" })), Cause::Misconfigured),
        (Response::json(429, &serde_json::json!({})).header("Retry-After", "30"), Cause::Transient),
    ];
    for (response, cause) in answers {
        let world = World::expired();
        world.auth.script([Step::new().answer(response)]);
        let client = world.client::<C>();

        let problem = problem(&client, &Spec::get(world.api.url("/a")));
        assert_eq!(problem.cause, Some(cause));
        let refusal = problem.refusal.expect("the refusal");
        assert_eq!((refusal.status, &*refusal.body), (401, &br#"{"message":"unauthorized"}"#[..]));
        assert!(refusal.headers.iter().any(|(name, _)| name == "www-authenticate"));
        assert_eq!(world.token_requests(), 1);
    }

    // The fifth cause: every fresh token is refused, until the breaker opens.
    let world = World::new();
    world.api.change(|policy| policy.refuse = Refuse::All);
    let client = world.client::<C>();
    let causes: Vec<_> = (0..6)
        .filter_map(|_| client.send(&Spec::get(world.api.url("/a"))).err().map(|problem| problem.cause))
        .collect();
    assert!(causes.contains(&Some(Cause::RefusedAfterRefresh)), "{causes:?}");
    assert!(world.token_requests() <= 3, "{} token requests", world.token_requests());
}
