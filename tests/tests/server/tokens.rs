//! The token and revocation endpoints: what every policy does.

use std::time::Duration;

use serde_json::{Value, json};
use token_refresh_conformance::server::{
    AuthorizationServer, ClientAuth, OldAccessToken, OnReplay, Policy, ResourcePolicy, ResourceServer, Reuse,
    Rotation, Successor, Tag, TokenKind, Verdict,
};

use crate::client::{Answer, ask, exchange, form, get, post, refresh, servers, status};

fn start(policy: Policy) -> (AuthorizationServer, ResourceServer) {
    let (auth, api) = servers(ResourcePolicy::default());
    auth.change(|current| *current = policy);
    (auth, api)
}

fn access(generation: u32) -> Tag {
    Tag { kind: TokenKind::Access, family: 1, generation }
}

fn refresh_tag(generation: u32) -> Tag {
    Tag { kind: TokenKind::Refresh, family: 1, generation }
}

fn verdicts(auth: &AuthorizationServer) -> Vec<Verdict> {
    auth.token_requests().iter().map(|request| request.verdict).collect()
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text("error"))
}

#[test]
fn an_exchange_rotates_and_both_generations_are_known() {
    let (auth, api) = start(Policy::default());
    let first = auth.issue();
    let answer = exchange(&auth, &first.refresh_token);

    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["expires_in"], 3600);
    assert_eq!(answer.json()["token_type"], "Bearer");
    let (new_access, new_refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    assert!(new_access.starts_with("at-1-1-") && new_access.len() > 32);
    assert_eq!(auth.tag(&new_refresh), Some(refresh_tag(1)));
    assert_eq!(auth.current(1).map(|issued| issued.refresh_token), Some(new_refresh));
    assert_eq!((status(&api, &first.access_token), status(&api, &new_access)), (200, 200));
    assert_eq!(api.generations("/things/17"), [Some(0), Some(1)]);
    assert_eq!(verdicts(&auth), [Verdict::Granted(access(1))]);
    assert_eq!(auth.presentations(&first.refresh_token), 1);
}

#[test]
fn values_cannot_be_guessed() {
    let (auth, _api) = start(Policy::default());
    let (one, two) = (auth.issue(), auth.issue());
    let random = |token: &str| token.rsplit('-').next().map(str::to_owned);
    assert_ne!(random(&one.access_token), random(&two.access_token));
    assert_ne!(random(&one.access_token), random(&one.refresh_token));
    assert_eq!(exchange(&auth, "rt-1-0-00000000000000000000000000000000").status, 400);
}

#[test]
fn a_replay_revokes_the_family_and_no_other() {
    let (auth, api) = start(Policy::default());
    let (first, other) = (auth.issue(), auth.issue());
    let second = exchange(&auth, &first.refresh_token);
    let replay = exchange(&auth, &first.refresh_token);

    assert_eq!(error(&replay), (400, "invalid_grant".into()));
    assert_eq!(auth.families_revoked(), 1);
    assert_eq!(auth.presentations(&first.refresh_token), 2);
    assert_eq!(status(&api, &second.text("access_token")), 401);
    assert_eq!(api.log()[0].verdict, Verdict::Dead(access(1)));
    assert_eq!(exchange(&auth, &second.text("refresh_token")).status, 400);
    let replayed = Verdict::Replayed { spent: refresh_tag(0), family_revoked: true };
    assert_eq!(verdicts(&auth), [Verdict::Granted(access(1)), replayed, Verdict::Refused("invalid_grant")]);
    assert_eq!(status(&api, &other.access_token), 200);
}

#[test]
fn a_replay_may_cost_nothing_or_go_unnoticed() {
    let (auth, api) = start(Policy { on_replay: OnReplay::InvalidGrant, ..Policy::default() });
    let first = auth.issue();
    let second = exchange(&auth, &first.refresh_token);
    assert_eq!(error(&exchange(&auth, &first.refresh_token)), (400, "invalid_grant".into()));
    assert_eq!((auth.families_revoked(), status(&api, &second.text("access_token"))), (0, 200));

    auth.change(|policy| policy.on_replay = OnReplay::Ignore);
    assert_eq!(auth.tag(&exchange(&auth, &first.refresh_token).text("refresh_token")), Some(refresh_tag(2)));
}

#[test]
fn a_window_repeats_the_successor_of_the_parent_only() {
    let (auth, _api) = start(Policy { reuse: Reuse::Within(Duration::from_secs(3600)), ..Policy::default() });
    let first = auth.issue();
    let second = exchange(&auth, &first.refresh_token);
    let again = exchange(&auth, &first.refresh_token);
    assert_eq!(again.json(), second.json());
    exchange(&auth, &second.text("refresh_token"));

    assert_eq!(exchange(&auth, &first.refresh_token).status, 400, "two generations old");
    assert_eq!(auth.families_revoked(), 1);
    assert_eq!(verdicts(&auth)[1], Verdict::Repeated(access(1)));
}

#[test]
fn a_window_may_yield_new_tokens_and_then_the_last_ones_win() {
    let policy = Policy { successor: Successor::New, reuse: Reuse::Times(2), ..Policy::default() };
    let (auth, _api) = start(policy);
    let first = auth.issue();
    let [lost, second] = [exchange(&auth, &first.refresh_token), exchange(&auth, &first.refresh_token)];
    assert_eq!(auth.tag(&second.text("access_token")), Some(access(2)));
    let third = exchange(&auth, &first.refresh_token);
    assert_eq!(auth.tag(&third.text("access_token")), Some(access(3)));
    assert_eq!(exchange(&auth, &third.text("refresh_token")).status, 200);
    assert_eq!(exchange(&auth, &lost.text("refresh_token")).status, 400);
    assert_eq!(auth.families_revoked(), 1);
}

#[test]
fn a_grace_ends_with_its_time_its_count_or_the_first_use() {
    let exchanges = |reuse, used| {
        let (auth, api) = start(Policy { reuse, ..Policy::default() });
        let first = auth.issue();
        let second = exchange(&auth, &first.refresh_token);
        if used {
            assert_eq!(status(&api, &second.text("access_token")), 200);
        }
        assert_eq!(status(&api, &first.access_token), 200, "which is no use of the successor");
        [(); 3].map(|()| exchange(&auth, &first.refresh_token).status)
    };
    assert_eq!(exchanges(Reuse::Within(Duration::ZERO), false), [400; 3]);
    assert_eq!(exchanges(Reuse::Times(2), false), [200, 200, 400]);
    assert_eq!(exchanges(Reuse::UntilUsed, false), [200; 3]);
    assert_eq!(exchanges(Reuse::UntilUsed, true), [400; 3]);
}

#[test]
fn without_rotation_a_refresh_token_is_never_spent() {
    for (rotation, repeated) in [(Rotation::None, false), (Rotation::Same, true)] {
        let (auth, _api) = start(Policy { rotation, ..Policy::default() });
        let first = auth.issue();
        for generation in 1..4 {
            let answer = exchange(&auth, &first.refresh_token);
            assert_eq!(auth.tag(&answer.text("access_token")), Some(access(generation)));
            let same = answer.json().get("refresh_token") == Some(&Value::from(first.refresh_token.as_str()));
            assert_eq!((same, answer.json().get("refresh_token").is_some()), (repeated, repeated));
        }
        auth.change(|policy| (policy.rotation, policy.reuse) = (Rotation::Always, Reuse::Times(1)));
        assert_eq!([(); 3].map(|()| exchange(&auth, &first.refresh_token).status), [200, 200, 400]);
    }
}

#[test]
fn access_tokens_end_by_order_by_clock_and_by_exchange() {
    let (auth, api) = start(Policy { old_access_token: OldAccessToken::Dies, ..Policy::default() });
    let first = auth.issue();
    let second = exchange(&auth, &first.refresh_token).text("access_token");
    assert_eq!((status(&api, &first.access_token), status(&api, &second)), (401, 200));
    assert_eq!(auth.expire(&second), Some(access(1)));
    assert_eq!(auth.expire("unknown"), None);
    assert_eq!(status(&api, &second), 401);

    auth.change(|policy| policy.lifetime = Some(Duration::ZERO));
    let third = auth.issue().access_token;
    assert_eq!(status(&api, &third), 401);
    let seen: Vec<Verdict> = api.log().iter().map(|seen| seen.verdict).collect();
    assert_eq!(seen[0], Verdict::Dead(access(0)));
    assert_eq!(seen[2..], [Verdict::Expired(access(1)), Verdict::Expired(Tag { family: 2, ..access(0) })]);
}

#[test]
fn members_of_the_answer_are_what_the_policy_says() {
    let (auth, _api) = start(Policy { token_type: None, ..Policy::default() });
    for expires_in in [json!("3600"), json!(0), json!(-1), json!(null), json!(1e300)] {
        auth.change(|policy| policy.expires_in = Some(expires_in.clone()));
        assert_eq!(exchange(&auth, &auth.issue().refresh_token).json()["expires_in"], expires_in);
    }
    auth.change(|policy| policy.expires_in = None);
    let answer = exchange(&auth, &auth.issue().refresh_token).json();
    assert_eq!((answer.get("expires_in"), answer.get("token_type")), (None, None));
}

#[test]
fn clients_authenticate_as_the_policy_demands() {
    let basic = ClientAuth::Basic { id: "my app".into(), secret: "s:3/+".into() };
    let post = ClientAuth::Post { id: "my app".into(), secret: "s:3/+".into() };
    // "my+app:s%3A3%2F%2B"
    let field = "Authorization: Basic bXkrYXBwOnMlM0EzJTJGJTJC\r\n";
    let params = "&client_id=my+app&client_secret=s%3A3%2F%2B";
    let (auth, _api) = start(Policy { client: basic.clone(), ..Policy::default() });
    let send = |fields, params: &str| {
        let token = auth.issue().refresh_token;
        ask(
            auth.addr(),
            form("/token", fields, &format!("grant_type=refresh_token&refresh_token={token}{params}")),
        )
        .expect("an answer")
    };
    assert_eq!(send(field, "").status, 200);
    assert_eq!(error(&send("", params)), (401, "invalid_client".into()));
    let wrong = send("Authorization: Basic bXkrYXBwOng=\r\n", "");
    assert_eq!(wrong.field("www-authenticate"), Some("Basic realm=\"auth\""));
    assert_eq!(error(&send(field, params)), (400, "invalid_request".into()));

    auth.change(|policy| policy.client = post.clone());
    assert_eq!((send("", params).status, send(field, "").status, send("", "").status), (200, 401, 401));
    let requests = auth.token_requests();
    assert_eq!((&requests[0].client, &requests[1].client), (&basic, &post));
    assert_eq!(requests[1].params[3], ("client_secret".into(), "s:3/+".into()));
}

#[test]
fn the_json_endpoint_refuses_without_a_code() {
    let (auth, _api) = start(Policy::default());
    let first = auth.issue();
    let body = json!({ "refresh_token": first.refresh_token }).to_string();
    let request = post("/refresh", "Content-Type: application/json; charset=utf-8\r\n", &body);
    let answer = ask(auth.addr(), &request).expect("an answer");
    assert_eq!(answer.status, 200);
    let members: Vec<String> = answer.json().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token"]);

    let replay = ask(auth.addr(), &request).expect("an answer");
    assert_eq!((replay.status, replay.json().get("error")), (401, None));
    assert_eq!(auth.presentations(&first.refresh_token), 2);
}

#[test]
fn revocation_takes_the_family_or_the_access_token_alone() {
    let (auth, api) = start(Policy::default());
    let (one, two) = (auth.issue(), auth.issue());
    let revoke =
        |token: &str| ask(auth.addr(), form("/revoke", "", &format!("token={token}"))).expect("an answer");
    assert_eq!(revoke(&one.access_token).status, 200);
    assert_eq!((status(&api, &one.access_token), exchange(&auth, &one.refresh_token).status), (401, 200));
    assert_eq!(revoke(&two.refresh_token).status, 200);
    assert_eq!((status(&api, &two.access_token), exchange(&auth, &two.refresh_token).status), (401, 400));
    assert_eq!((revoke("unknown").status, auth.families_revoked()), (200, 1));
    assert_eq!(auth.presentations(&two.refresh_token), 1, "a revocation presents nothing");
}

#[test]
fn requests_that_are_not_token_requests_spend_nothing() {
    let (auth, _api) = start(Policy::default());
    let token = auth.issue().refresh_token;
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    let invalid = (400, Some("invalid_request"));
    for (request, expected) in [
        (get(&format!("/token?{body}"), "x"), (405, None)),
        (form("/tokens", "", &body), (404, None)),
        (post("/token", "Content-Type: application/json\r\n", &body), invalid),
        (form("/token", "", &format!("{body}&refresh_token={token}")), invalid),
        (form("/token", "", &format!("refresh_token={token}")), invalid),
        (form("/token", "", "grant_type=refresh_token&refresh_token="), invalid),
        (
            form("/token", "", &format!("grant_type=password&refresh_token={token}")),
            (400, Some("unsupported_grant_type")),
        ),
        (post("/refresh", "Content-Type: application/json\r\n", "[1]"), invalid),
        (form("/revoke", "", "token="), invalid),
    ] {
        let answer = ask(auth.addr(), &request).expect("an answer");
        let code = expected.1.map(|_| answer.text("error"));
        assert_eq!((answer.status, code.as_deref()), expected, "{request}");
    }
    assert_eq!(ask(auth.addr(), refresh(&token)).map(|answer| answer.status), Some(200));
}
