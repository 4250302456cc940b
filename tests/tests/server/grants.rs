//! What the authorization server does besides the plain refresh grant.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use token_refresh_conformance::server::{Challenge, OnReplay, ResourcePolicy, Verdict};

use crate::client::{ask, exchange, form, get, post, refresh, servers, status};

#[test]
fn client_credentials_start_a_session_without_a_refresh_token() {
    let (auth, api) = servers(ResourcePolicy::default());
    let ask_for_one =
        || ask(auth.addr(), form("/token", "", "grant_type=client_credentials")).expect("an answer");
    let answers = [ask_for_one(), ask_for_one()];
    for (answer, family) in answers.iter().zip(1..) {
        assert_eq!((answer.status, answer.json().get("refresh_token")), (200, None));
        assert_eq!(auth.tag(&answer.text("access_token")).map(|tag| tag.family), Some(family));
        assert_eq!(status(&api, &answer.text("access_token")), 200);
    }
}

#[test]
fn the_cookie_endpoint_takes_and_gives_a_cookie() {
    let (auth, api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    let request =
        |token: &str| post("/cookie", &format!("Cookie: theme=dark; refresh_token={token}\r\n"), "");
    let answer = ask(auth.addr(), request(&first.refresh_token)).expect("an answer");
    let next = auth.current(1).expect("a session");
    let cookie = format!("refresh_token={}; Path=/cookie; HttpOnly; SameSite=Strict", next.refresh_token);
    assert_eq!((answer.status, answer.field("set-cookie")), (200, Some(&*cookie)));
    assert_eq!(answer.json().get("refresh_token"), None);
    assert_eq!(status(&api, &answer.text("access_token")), 200);

    assert_eq!(ask(auth.addr(), request(&first.refresh_token)).map(|answer| answer.status), Some(401));
    assert_eq!((auth.presentations(&first.refresh_token), auth.families_revoked()), (2, 1));
}

#[test]
fn a_replay_can_end_all_sessions_of_the_user() {
    let (auth, _api) = servers(ResourcePolicy::default());
    auth.change(|policy| policy.on_replay = OnReplay::RevokeUser);
    let [one, other_user] = [auth.issue(), auth.issue()];
    let second_device = auth.issue_again(1);
    let replayed = [exchange(&auth, &one.refresh_token), exchange(&auth, &one.refresh_token)];
    assert_eq!(replayed.map(|answer| answer.status), [200, 400]);
    assert_eq!(auth.families_revoked(), 2);
    assert_eq!(exchange(&auth, &second_device.refresh_token).status, 400);
    assert_eq!(exchange(&auth, &other_user.refresh_token).status, 200);
}

#[test]
fn a_nonce_is_asked_for_until_a_proof_carries_it() {
    let (auth, api) =
        servers(ResourcePolicy { challenge: Challenge::UseDpopNonce("n2".into()), ..Default::default() });
    auth.change(|policy| policy.dpop_nonce = Some("n1".into()));
    let token = auth.issue().refresh_token;
    let demand = ask(auth.addr(), refresh(&token)).expect("an answer");
    assert_eq!((demand.status, demand.text("error").as_str()), (400, "use_dpop_nonce"));
    assert_eq!(demand.field("dpop-nonce"), Some("n1"));
    assert_eq!(auth.token_requests()[0].verdict, Verdict::Refused("use_dpop_nonce"));

    let claims =
        Base64UrlUnpadded::encode_string(json!({ "jti": "1", "nonce": "n1" }).to_string().as_bytes());
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    let proven = ask(auth.addr(), form("/token", &format!("DPoP: head.{claims}.signature\r\n"), &body));
    assert_eq!(proven.map(|answer| answer.status), Some(200), "nothing was spent by the demand");

    let refusal = ask(api.addr(), get("/a", "unknown")).expect("an answer");
    assert_eq!(refusal.field("www-authenticate"), Some("DPoP error=\"use_dpop_nonce\""));
    assert_eq!(refusal.field("dpop-nonce"), Some("n2"));
}

#[test]
fn refresh_tokens_and_subjects_are_what_the_policy_says() {
    let (auth, _api) = servers(ResourcePolicy::default());
    auth.change(|policy| {
        policy.refresh_token_tail = "+&%=".into();
        policy.subject = Some("somebody-else".into());
    });
    let token = auth.issue().refresh_token;
    assert!(token.ends_with("+&%="));
    assert_eq!(exchange(&auth, &token).status, 400, "nobody has encoded it");
    let answer = exchange(&auth, &token.replace('%', "%25").replace('+', "%2B").replace('&', "%26"));
    let id_token = answer.text("id_token");
    let claims = Base64UrlUnpadded::decode_vec(id_token.split('.').nth(1).expect("three parts"));
    let claims: Value = serde_json::from_slice(&claims.expect("base64")).expect("JSON");
    assert_eq!(claims["sub"], "somebody-else");
}
