//! Steps: what a script does to single requests.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use token_refresh_conformance::server::{Cut, End, Gate, ResourcePolicy, Response, Step, Verdict};

use crate::client::{Client, PATIENCE, ask, exchange, get, refresh, servers, status};

#[test]
fn a_gate_before_processing_keeps_the_request_from_having_any_effect() {
    let (auth, api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    let gate = Gate::new();
    auth.script([Step::new().hold_before(&gate)]);
    thread::scope(|scope| {
        let held = scope.spawn(|| exchange(&auth, &first.refresh_token));
        assert!(gate.wait_arrived(1, PATIENCE));
        assert_eq!(auth.presentations(&first.refresh_token), 1, "seen, though not processed");
        assert_eq!((auth.log()[0].end, auth.log()[0].verdict), (End::Open, Verdict::Unprocessed));
        assert_eq!(auth.current(1), Some(first.clone()));
        gate.open();
        assert_eq!(held.join().expect("no panic").status, 200);
    });
    assert_eq!(status(&api, &auth.current(1).expect("a family").access_token), 200);
}

#[test]
fn a_gate_before_the_answer_holds_it_when_all_is_done() {
    let (auth, _api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    let gate = Gate::new();
    auth.script([Step::new().hold_after(&gate)]);
    thread::scope(|scope| {
        let held = scope.spawn(|| exchange(&auth, &first.refresh_token));
        assert!(gate.wait_arrived(1, PATIENCE));
        assert_ne!(auth.current(1), Some(first.clone()), "rotated");
        assert_eq!(exchange(&auth, &first.refresh_token).status, 400, "a replay");
        gate.open();
        assert_eq!(held.join().expect("no panic").status, 200);
    });
    assert!(!Gate::new().wait_arrived(1, Duration::ZERO), "nobody came");
}

#[test]
fn late_refusals_come_when_the_gate_opens() {
    let (auth, api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    auth.expire(&first.access_token);
    let gate = Gate::new();
    api.script(vec![Step::new().on("/late").hold_after(&gate); 3]);
    thread::scope(|scope| {
        let late = [(); 3].map(|()| scope.spawn(|| ask(api.addr(), get("/late", &first.access_token))));
        assert!(gate.wait_arrived(3, PATIENCE));
        assert_eq!(exchange(&auth, &first.refresh_token).status, 200);
        assert_eq!(api.answered(401), 0);
        gate.open();
        for answer in late {
            assert_eq!(answer.join().expect("no panic").map(|answer| answer.status), Some(401));
        }
    });
    assert_eq!(api.answered(401), 3);
}

/// What a client gets, and whether its refresh token is spent, for every point of a cut.
#[test]
fn connections_are_cut_at_each_point() {
    for (cut, answered, spent, end) in [
        (Cut::BeforeReading, false, false, End::Dropped),
        (Cut::AfterHead, false, false, End::Dropped),
        (Cut::BeforeProcessing, false, false, End::Dropped),
        (Cut::AfterProcessing, false, true, End::Dropped),
        (Cut::InBody(7), true, true, End::Cut(200)),
        (Cut::AfterAnswer, true, true, End::Answered(200)),
    ] {
        let (auth, _api) = servers(ResourcePolicy::default());
        let first = auth.issue();
        auth.script([Step::new().cut(cut)]);
        let mut client = Client::connect(auth.addr());
        client.write(refresh(&first.refresh_token));
        let answer = client.read();

        assert_eq!(answer.is_some(), answered, "{cut:?}");
        if let Some(answer) = answer {
            assert_eq!((answer.cut, answer.body.len() == 7), (cut == Cut::InBody(7), cut == Cut::InBody(7)));
            assert_eq!(answer.field("connection"), None, "it does not say so");
        }
        assert!(client.is_closed(), "{cut:?}");
        assert_eq!(auth.log()[0].end, end, "{cut:?}");
        assert_eq!(auth.current(1) != Some(first.clone()), spent, "{cut:?}");
        let read = !matches!(cut, Cut::BeforeReading | Cut::AfterHead);
        assert_eq!(auth.presentations(&first.refresh_token), usize::from(read), "{cut:?}");
        assert_eq!(auth.unused_steps(), 0);
    }
}

#[test]
fn an_answer_of_the_script_spends_nothing_and_an_edited_one_does() {
    let (auth, _api) = servers(ResourcePolicy::default());
    let first = auth.issue();
    auth.script([
        Step::new().answer(Response::new(503).header("Retry-After", "7")),
        Step::new().edit(|answer| {
            let mut members: Value = serde_json::from_slice(&answer.body).expect("JSON");
            members["refresh_token"] = "".into();
            answer.without("cache-control").body(members.to_string())
        }),
        Step::new().edit(|_| Response::new(500)),
    ]);
    let busy = exchange(&auth, &first.refresh_token);
    assert_eq!((busy.status, busy.field("retry-after")), (503, Some("7")));
    assert_eq!(auth.current(1), Some(first.clone()));

    let edited = exchange(&auth, &first.refresh_token);
    assert_eq!((edited.status, edited.text("refresh_token")), (200, String::new()));
    assert_eq!(edited.field("cache-control"), None);
    let second = auth.current(1).expect("a family");
    assert_eq!(exchange(&auth, &second.refresh_token).status, 500);
    assert_ne!(auth.current(1), Some(second));
}

#[test]
fn a_step_waits_for_its_path_and_is_taken_once() {
    let (_auth, api) = servers(ResourcePolicy::default());
    let teapot = |path: &str| Step::new().on(path).answer(Response::new(418));
    api.script([teapot("/b"), teapot("/a"), Step::new().answer(Response::new(204))]);
    let statuses = ["/a?query", "/c", "/a", "/b", "/b"]
        .map(|path| ask(api.addr(), get(path, "x")).expect("an answer").status);
    assert_eq!(statuses, [418, 204, 401, 418, 401]);
}

#[test]
fn a_request_is_dropped_unread_only_when_it_is_the_turn_of_that_step() {
    let (_auth, api) = servers(ResourcePolicy::default());
    api.script([Step::new().on("/b").answer(Response::new(418)), Step::new().cut(Cut::BeforeReading)]);
    let statuses =
        ["/a", "/b", "/a", "/a"].map(|path| ask(api.addr(), get(path, "x")).map(|answer| answer.status));
    assert_eq!(statuses, [Some(401), Some(418), None, Some(401)]);
}

#[test]
fn delays_and_slow_contents_take_their_time() {
    let (auth, _api) = servers(ResourcePolicy::default());
    let pause = Duration::from_millis(20);
    auth.script([
        Step::new().delay_before(pause),
        Step::new().delay_after(pause),
        Step::new().answer(Response::new(200).body("abcde")).slow(2, pause),
    ]);
    for least in [pause, pause, 3 * pause] {
        let start = Instant::now();
        assert_eq!(exchange(&auth, &auth.issue().refresh_token).status, 200);
        assert!(start.elapsed() >= least);
    }
}

#[test]
fn an_early_answer_comes_before_the_content() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    for expectation in ["", "Expect: 100-continue\r\n"] {
        api.script([Step::new().early()]);
        let mut client = Client::connect(api.addr());
        let head = format!("PUT /x HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n");
        client.write(format!("{head}Content-Length: 5\r\n{expectation}\r\n"));
        let answer = client.read().expect("an answer without any content");
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
        client.write("abcde");
        client.end();
        assert!(client.is_closed());
    }
    api.script([Step::new().early()]);
    let mut client = Client::connect(api.addr());
    client.write(format!("PUT /x HTTP/1.1\r\nContent-Length: 60000\r\n\r\n{}", "x".repeat(60_000)));
    client.end();
    assert_eq!(client.read().map(|answer| answer.status), Some(401));
    assert!(client.is_closed_cleanly());
    assert!(api.log().iter().all(|seen| seen.body_len == 0));
}
