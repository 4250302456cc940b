//! The resource server: refusals, redirects, the echo, and the timeline of both servers.

use std::time::Duration;

use serde_json::json;
use token_refresh_conformance::server::{
    BlackHole, Challenge, ClosedPort, Gate, Refuse, ResourcePolicy, Step, Verdict, digest, timeline,
};

use crate::client::{Client, PATIENCE, ask, exchange, get, servers, status};

#[test]
fn an_accepted_request_is_echoed() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let request = format!(
        "PATCH /things/17?x=1 HTTP/1.1\r\nHost: api\r\nAuthorization: bearer {token}\r\nContent-Length: 3\r\n\r\nabc"
    );
    let answer = ask(api.addr(), request).expect("an answer");
    assert_eq!(digest(b"abc"), 0xe71f_a219_0541_574b, "FNV-1a as others compute it");
    let echo =
        json!({ "method": "PATCH", "path": "/things/17", "body_len": 3, "body_digest": "e71fa2190541574b" });
    assert_eq!((answer.status, answer.json()), (200, echo));

    let seen = &api.log()[0];
    assert_eq!((seen.target.as_str(), seen.body.as_slice()), ("/things/17?x=1", &b"abc"[..]));
    assert_eq!((seen.body_len, seen.body_digest), (3, digest(b"abc")));
    assert_eq!(seen.headers.get("HOST"), Some("api"));
}

#[test]
fn refusals_carry_the_challenge_and_the_status_of_the_policy() {
    let (_auth, api) = servers(ResourcePolicy::default());
    let bare = "Bearer realm=\"things\"";
    for (challenge, expected) in [
        (Challenge::None, vec![]),
        (Challenge::Bare, vec![bare]),
        (Challenge::InvalidToken, vec!["Bearer realm=\"things\", error=\"invalid_token\""]),
        (
            Challenge::InsufficientScope,
            vec!["Bearer realm=\"things\", error=\"insufficient_scope\", scope=\"things:write\""],
        ),
        (
            Challenge::InsufficientUserAuthentication,
            vec!["Bearer realm=\"things\", error=\"insufficient_user_authentication\", max_age=\"300\""],
        ),
        (
            Challenge::Raw(vec!["Basic realm=\"x".into(), "Negotiate".into()]),
            vec!["Basic realm=\"x", "Negotiate"],
        ),
    ] {
        api.change(|policy| (policy.challenge, policy.status) = (challenge, 403));
        let answer = ask(api.addr(), get("/", "unknown")).expect("an answer");
        let fields: Vec<&str> =
            answer.head.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
        assert_eq!((answer.status, fields), (403, expected));
    }
    assert!(api.log().iter().all(|seen| seen.verdict == Verdict::Unknown && seen.carried.is_none()));
}

#[test]
fn what_has_ended_can_be_taken_out_of_the_log_up_to_what_has_not() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let gate = Gate::new();
    api.script([Step::new(), Step::new().on("/held").hold_after(&gate)]);
    assert!(ask(api.addr(), get("/first", &token)).is_some());
    let mut held = Client::connect(api.addr());
    held.write(get("/held", &token));
    assert!(gate.wait_arrived(1, PATIENCE));
    assert!(ask(api.addr(), get("/last", &token)).is_some());

    let targets = |ago| -> Vec<String> { api.take_log(ago).into_iter().map(|seen| seen.target).collect() };
    assert_eq!(targets(Duration::from_secs(3600)), [""; 0]);
    assert_eq!(targets(Duration::ZERO), ["/first"]);
    gate.open();
    assert!(held.read().is_some());
    // The entry that is behind those that were taken is still found when its request ends.
    assert_eq!(targets(Duration::ZERO), ["/held", "/last"]);
    assert_eq!(api.log(), []);
}

#[test]
fn who_sends_no_token_gets_no_error_code() {
    let (_auth, api) = servers(ResourcePolicy::default());
    let answer = ask(api.addr(), "GET / HTTP/1.1\r\nHost: api\r\n\r\n").expect("an answer");
    assert_eq!((answer.status, answer.field("www-authenticate")), (401, Some("Bearer realm=\"things\"")));
    assert_eq!(api.log()[0].verdict, Verdict::Missing);
    assert_eq!(api.generations("/"), [None]);
}

#[test]
fn good_tokens_are_refused_by_order() {
    let (auth, api) = servers(ResourcePolicy { refuse: Refuse::Next(2), ..ResourcePolicy::default() });
    let token = auth.issue().access_token;
    assert_eq!([(); 3].map(|()| status(&api, &token)), [401, 401, 200]);
    api.change(|policy| policy.refuse = Refuse::All);
    assert_eq!([(); 2].map(|()| status(&api, &token)), [401, 401]);
    assert_eq!((api.answered(200), api.answered(401)), (1, 4));
    assert_eq!((api.log()[0].verdict, api.log()[0].carried), (Verdict::ByOrder, auth.tag(&token)));
}

#[test]
fn redirects_go_where_they_are_told() {
    let (_auth, api) = servers(ResourcePolicy::default());
    for code in [301, 302, 303, 307, 308] {
        let target = format!("/redirect/{code}?to=http%3A%2F%2F127.0.0.1%3A1%2Fx%3Fy%3D1%0D%0AEvil%3A+1");
        let answer = ask(api.addr(), get(&target, "x")).expect("an answer");
        assert_eq!(answer.status, code);
        assert_eq!(answer.field("location"), Some("http://127.0.0.1:1/x?y=1  Evil: 1"), "one field, not two");
    }
    for target in ["/redirect/200?to=x", "/redirect/302", "/redirect/?to=x"] {
        assert_eq!(ask(api.addr(), get(target, "x")).map(|answer| answer.status), Some(404));
    }
}

#[test]
fn a_timeline_is_one_line_for_a_request_and_shows_no_token() {
    let (auth, api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    auth.expire(&first.access_token);
    status(&api, &first.access_token);
    let second = exchange(&auth, &first.refresh_token).text("access_token");
    status(&api, &second);

    let text = timeline([auth.log(), api.log()]);
    let lines: Vec<&str> = text.lines().map(|line| line.split_once(" s  ").expect("a time").1).collect();
    assert_eq!(
        lines,
        [
            "api   GET    /things/17       at-1-0…  → 401  expired",
            "auth  POST   /token           rt-1-0…  → 200  granted at-1-1",
            "api   GET    /things/17       at-1-1…  → 200",
        ]
    );
}

#[test]
fn nobody_answers_where_nobody_should() {
    let closed = ClosedPort::new().expect("a port");
    let refused = std::net::TcpStream::connect(closed.addr().expect("an address")).expect_err("refused");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    let hole = BlackHole::start().expect("a port");
    let mut client = Client::connect(hole.addr());
    client.write(get("/", "x"));
    drop(hole);
    assert!(client.is_closed());
}
