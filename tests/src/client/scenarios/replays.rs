//! What is sent a second time, and how.

use super::super::{
    Scenario,
    protocol::{Ability, Cause, Request},
    stage::{Flaw, Played, Stage, check, invalid_grant},
};
use crate::server::{Challenge, Cut, Headers, Response, Step, digest};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "rply-same-request",
        "The repetition has the method, target, fields and content of the first attempt.",
        &["RPLY-02"],
        same_request,
    ),
    Scenario::new(
        "rply-stream",
        "Content that can be read once is not sent twice; the caller gets the refusal, and the next request works.",
        &["RPLY-03"],
        stream,
    )
    .needs(&[Ability::Stream]),
    Scenario::new(
        "rply-post-clear-refusal",
        "A POST is repeated if the refusal names the token.",
        &["RPLY-04"],
        |stage| method(stage, "POST", Challenge::InvalidToken, 200),
    ),
    Scenario::new(
        "rply-post-bare-401",
        "A POST is not repeated after a bare 401: nobody knows who refused what.",
        &["RPLY-04"],
        |stage| method(stage, "POST", Challenge::None, 401),
    ),
    Scenario::new(
        "rply-patch-bare-401",
        "Nor is a PATCH.",
        &["RPLY-04"],
        |stage| method(stage, "PATCH", Challenge::None, 401),
    ),
    Scenario::new(
        "rply-put-bare-401",
        "A PUT is repeated after a bare 401.",
        &["RPLY-04"],
        |stage| method(stage, "PUT", Challenge::None, 200),
    ),
    Scenario::new(
        "rply-delete-bare-401",
        "A DELETE is repeated after a bare 401.",
        &["RPLY-04"],
        |stage| method(stage, "DELETE", Challenge::None, 200),
    ),
    Scenario::new(
        "rply-early-refusal",
        "A refusal that comes before the content was read is one like any other.",
        &["RPLY-02", "RPLY-07"],
        early_refusal,
    ),
    Scenario::new(
        "rply-server-error",
        "A POST that is answered with 503 is not sent again.",
        &["RPLY-06"],
        |stage| {
            stage.api.script([Step::new().answer(Response::new(503))]);
            stage.client()?.send(Request::new("POST", stage.api.url("/a")).body("x"))?.answered(503)?;
            stage.attempts("/a", &[Some(0)])?;
            stage.token_requests(0)
        },
    ),
    Scenario::new(
        "rply-connection-lost",
        "A POST whose connection is lost is not sent again.",
        &["RPLY-06"],
        |stage| {
            stage.api.script([Step::new().cut(Cut::AfterProcessing)]);
            let sent = stage.client()?;
            sent.send(Request::new("POST", stage.api.url("/a")).body("x"))?.failed(&[Cause::Http, Cause::Unknown])?;
            stage.attempts("/a", &[Some(0)])?;
            stage.token_requests(0)
        },
    ),
    Scenario::new(
        "rply-failed-refresh",
        "If there is no new token, the caller gets the API's own refusal.",
        &["RPLY-08"],
        failed_refresh,
    ),
    Scenario::new(
        "rply-after-time-limit",
        "A request whose caller has waited too long is not sent again, when the token comes at last.",
        &["RPLY-06", "CORE-13"],
        after_time_limit,
    ),
    Scenario::new(
        "rply-after-cancel",
        "A request that is taken back is not sent again, when the token comes.",
        &["RPLY-06"],
        after_cancel,
    )
    .needs(&[Ability::Cancel]),
];

fn same_request(stage: &mut Stage<'_>) -> Played {
    let content = "Grüße, {\"a\": \"\\u0000 +&%=\"}\r\n".repeat(3000);
    let client = stage.client_with_dead_token()?;
    let request = Request::new("POST", stage.api.url("/a?x=1&x=%20"))
        .header("content-type", "application/x-things")
        .header("idempotency-key", "8e03978e")
        .body(&content);
    client.send(request)?.answered(200)?;
    let log = stage.api.log();
    let [first, second] = &log[..] else {
        return Err(Flaw::Fails(format!("{} attempts instead of 2", log.len())));
    };
    check(first.body_digest == digest(content.as_bytes()), || {
        format!("{} bytes of content became {}", content.len(), first.body_len)
    })?;
    check((second.body_len, second.body_digest) == (first.body_len, first.body_digest), || {
        format!(
            "the content of the repetition has {} bytes, that of the first attempt {}",
            second.body_len, first.body_len
        )
    })?;
    check((&first.method, &first.target) == (&second.method, &second.target), || {
        format!("{} {} became {} {}", first.method, first.target, second.method, second.target)
    })?;
    let (first, second) = (fields(&first.headers), fields(&second.headers));
    check(first == second, || format!("the fields {first:?} became {second:?}"))
}

/// All that a repetition has to have in common with the first attempt.
fn fields(headers: &Headers) -> Vec<String> {
    let derived = ["authorization", "connection", "date"];
    let fields = headers.iter().map(|(name, value)| (name.to_lowercase(), value));
    let fields = fields.filter(|(name, _)| !derived.contains(&name.as_str()));
    let mut fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}

fn stream(stage: &mut Stage<'_>) -> Played {
    let client = stage.client_with_dead_token()?;
    let upload = || Request::new("PUT", stage.api.url("/a")).stream("x".repeat(200_000));
    client.send(upload())?.answered(401)?;
    let lengths = || stage.api.log().iter().map(|seen| seen.body_len).collect::<Vec<_>>();
    check(lengths() == [200_000], || format!("the API got {:?} bytes, not [200000]", lengths()))?;
    stage.until("the token is refreshed although the request cannot be repeated", || {
        stage.auth.current(1).is_some_and(|current| current != stage.tokens)
    })?;
    client.send(upload())?.answered(200)?;
    stage.attempts("/a", &[Some(0), Some(1)])?;
    stage.token_requests(1)
}

fn method(stage: &mut Stage<'_>, method: &str, challenge: Challenge, status: u16) -> Played {
    stage.api.change(|policy| policy.challenge = challenge);
    let client = stage.client_with_dead_token()?;
    let request = Request::new(method, stage.api.url("/a"));
    let request = if method == "DELETE" { request } else { request.body("{}") };
    client.send(request)?.answered(status)?;
    let repeated = [Some(0), Some(1)];
    stage.attempts("/a", if status == 200 { &repeated } else { &repeated[..1] })?;
    if status == 401 {
        client.get("/next")?.answered(200)?;
    }
    stage.token_requests(1)
}

fn early_refusal(stage: &mut Stage<'_>) -> Played {
    let refusal = Response::new(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    stage.api.script([Step::new().early().answer(refusal)]);
    let client = stage.client()?;
    client.send(Request::new("PUT", stage.api.url("/a")).body("x".repeat(20_000)))?.answered(200)?;
    check(stage.api.log().last().is_some_and(|seen| seen.body_len == 20_000), || {
        "the repetition does not have all of the content".to_owned()
    })?;
    stage.token_requests(1)
}

fn failed_refresh(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([Step::new().answer(invalid_grant())]);
    let client = stage.client_with_dead_token()?;
    let outcome = client.get("/a")?.outcome()?;
    let refusal = (outcome.status, outcome.body.as_deref());
    check(refusal == (Some(401), Some(r#"{"message":"unauthorized"}"#)), || {
        format!("the caller does not get the 401 of the API with its content: {refusal:?}")
    })?;
    stage.attempts("/a", &[Some(0)])
}

fn after_time_limit(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    stage.expire();
    let client = stage.start(&super::super::protocol::Settings { time_limit_ms: 300, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/late")?.failed_but_not(&[Cause::NeedsSignIn])?;
    token.open();
    client.get("/next")?.outcome()?;
    client.leave();
    stage.attempts("/late", &[Some(0)])
}

fn after_cancel(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    let client = stage.client_with_dead_token()?;
    let regretted = client.get("/regretted")?;
    stage.arrives(&token, 1, "a token request")?;
    client.cancel(&regretted)?;
    regretted.failed(&[Cause::Cancelled])?;
    token.open();
    client.get("/next")?.answered(200)?;
    client.leave();
    stage.attempts("/regretted", &[Some(0)])
}
