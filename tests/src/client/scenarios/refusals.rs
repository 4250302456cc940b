//! What is a refusal of the token, and what is not.

use super::super::{
    Scenario,
    protocol::Request,
    stage::{Played, Stage, check},
};
use crate::server::{Challenge, Refuse, ResourcePolicy, Response, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "chal-invalid-token",
        "A refused token is replaced, and the request is sent once more.",
        &["CHAL-02"],
        |stage| refreshed(stage, 401, Challenge::InvalidToken),
    ),
    Scenario::new(
        "chal-bare-401",
        "A 401 whose challenge has no error code counts as a refusal.",
        &["CHAL-07"],
        |stage| refreshed(stage, 401, Challenge::Bare),
    ),
    Scenario::new(
        "chal-no-challenge",
        "A 401 without a challenge counts as a refusal.",
        &["CHAL-07"],
        |stage| refreshed(stage, 401, Challenge::None),
    ),
    Scenario::new(
        "chal-two-schemes",
        "The challenge is found behind one of another scheme, whose quoted text looks like it.",
        &["CHAL-01"],
        |stage| {
            refreshed(
                stage,
                403,
                raw(&["Basic realm=\"a, Bearer error=\\\"x\\\"\", bearer ERROR=invalid_token"]),
            )
        },
    ),
    Scenario::new(
        "chal-two-fields",
        "The challenge is found in the second field of that name.",
        &["CHAL-01"],
        |stage| refreshed(stage, 403, raw(&["Negotiate", "Bearer error=\"invalid_token\""])),
    ),
    Scenario::new(
        "chal-quoted-lookalike",
        "A realm that reads like an error code is none.",
        &["CHAL-01"],
        |stage| handed_back(stage, 403, raw(&["Basic realm=\"Bearer error=invalid_token\""])),
    ),
    Scenario::new(
        "chal-malformed",
        "A challenge that cannot be read is no challenge, and no error.",
        &["CHAL-01"],
        |stage| refreshed(stage, 401, raw(&["Bearer error=\"invalid_tok"])),
    ),
    Scenario::new(
        "chal-code-outranks-403",
        "An invalid token is a refusal under 403, too.",
        &["CHAL-09"],
        |stage| refreshed(stage, 403, Challenge::InvalidToken),
    ),
    Scenario::new(
        "chal-insufficient-scope-401",
        "Missing scope is handed back under 401: no refresh can add to it.",
        &["CHAL-09", "CHAL-04"],
        |stage| handed_back(stage, 401, Challenge::InsufficientScope),
    ),
    Scenario::new(
        "chal-insufficient-scope",
        "Missing scope is handed back: no refresh can add to it.",
        &["CHAL-04"],
        |stage| handed_back(stage, 403, Challenge::InsufficientScope),
    ),
    Scenario::new(
        "chal-user-authentication",
        "The wish for a better authentication is handed back.",
        &["CHAL-05"],
        |stage| handed_back(stage, 401, Challenge::InsufficientUserAuthentication),
    ),
    Scenario::new("chal-403", "A 403 says nothing about the token.", &["CHAL-06"], |stage| {
        handed_back(stage, 403, Challenge::None)
    }),
    Scenario::new("chal-407", "A 407 says nothing about the token.", &["CHAL-06"], |stage| {
        handed_back(stage, 407, Challenge::None)
    }),
    Scenario::new(
        "chal-dpop-nonce",
        "The demand for a nonce is no refusal of the token.",
        &["CHAL-03"],
        |stage| {
            refuse(stage, 401, Challenge::UseDpopNonce("n1".to_owned()));
            stage.client()?.get("/a")?.outcome()?;
            stage.token_requests(0)
        },
    ),
    Scenario::new(
        "chal-huge-fields",
        "Fields of 60 KiB in a refusal are survived.",
        &["SEC-06"],
        huge_fields,
    ),
    Scenario::new(
        "chal-second-refusal",
        "If the new token is refused too, the caller gets that answer, and there is no third attempt.",
        &["CHAL-11", "RPLY-01"],
        second_refusal,
    ),
    Scenario::new(
        "time-early-end",
        "A token that is refused long before its time is over is replaced.",
        &["TIME-05"],
        early_end,
    ),
];

/// The API refuses the next tokens like this.
fn refuse(stage: &Stage<'_>, status: u16, challenge: Challenge) {
    stage.forgive();
    // So that it ends, the API relents after ten refusals.
    stage.api.change(|policy| *policy = ResourcePolicy { refuse: Refuse::Next(10), status, challenge });
}

fn raw(fields: &[&str]) -> Challenge {
    Challenge::Raw(fields.iter().map(|field| (*field).to_owned()).collect())
}

/// The refusal leads to one exchange and one repetition.
fn refreshed(stage: &mut Stage<'_>, status: u16, challenge: Challenge) -> Played {
    refuse(stage, status, challenge);
    stage.api.change(|policy| policy.refuse = Refuse::Next(1));
    stage.client()?.get("/a")?.answered(200)?;
    stage.attempts("/a", &[Some(0), Some(1)])?;
    stage.token_requests(1)
}

/// The caller gets the answer whole, and nothing is exchanged or repeated.
fn handed_back(stage: &mut Stage<'_>, status: u16, challenge: Challenge) -> Played {
    refuse(stage, status, challenge);
    let outcome = stage.client()?.get("/a")?.answered(status)?;
    check(outcome.body.as_deref() == Some(r#"{"message":"unauthorized"}"#), || {
        format!("the caller does not get the content of the {status}: {:?}", outcome.body)
    })?;
    stage.attempts("/a", &[Some(0)])?;
    stage.token_requests(0)
}

/// Whether a client takes such an answer at all is its own business.
fn huge_fields(stage: &mut Stage<'_>) -> Played {
    let challenge = format!("Bearer realm=\"{}\", error=\"invalid_token\"", "\\\"".repeat(30_000));
    stage.api.script([Step::new().answer(Response::new(401).header("WWW-Authenticate", &challenge))]);
    let client = stage.client()?;
    client.get("/huge")?.outcome()?;
    client.get("/a")?.answered(200)?;
    stage.at_most_token_requests(1)
}

fn second_refusal(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    let again = Response::new(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"").body("again");
    stage.api.script([Step::new(), Step::new().answer(again)]);
    let client = stage.client_with_dead_token()?;
    let outcome = client.get("/a")?.outcome()?;
    check(outcome.status == Some(401) && outcome.body.as_deref() == Some("again"), || {
        format!("the caller does not get the second refusal: {:?} {:?}", outcome.status, outcome.body)
    })?;
    stage.attempts("/a", &[Some(0), Some(1)])?;
    stage.token_requests(1)
}

fn early_end(stage: &mut Stage<'_>) -> Played {
    let client = stage.start(&stage.settings())?;
    client.sign_in_for(&stage.tokens, Some(3600))?;
    client.get("/a")?.answered(200)?;
    stage.expire();
    client.send(Request::get(stage.api.url("/b")))?.answered(200)?;
    stage.attempts("/b", &[Some(0), Some(1)])
}
