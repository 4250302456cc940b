//! Whose tokens they are: users who come and go while something is under way.

use super::super::{
    Scenario,
    protocol::Ability,
    stage::{Flaw, Played, Stage, check, invalid_grant},
};
use crate::server::Step;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "sess-sign-in-during-refresh",
        "A refresh that ends after another user has signed in does not give that user the token of the first.",
        &["SESS-02"],
        sign_in_during_refresh,
    ),
    Scenario::new(
        "sess-waiters-of-the-first-user",
        "A request of the first user is not sent with the token of the second.",
        &["SESS-01"],
        waiters_of_the_first,
    ),
    Scenario::new(
        "sess-late-refusal-of-the-first-user",
        "A late refusal of the first user's token refreshes nothing of the second's, and is not repeated.",
        &["SESS-03"],
        late_refusal_of_the_first,
    ),
    Scenario::new(
        "sess-sign-in-heals",
        "A session that is over works again when somebody signs in.",
        &["CORE-07"],
        sign_in_heals,
    ),
    Scenario::new("sess-sign-out", "Who is signed out sends no token.", &["SESS-01"], sign_out)
        .needs(&[Ability::SignOut]),
    Scenario::new(
        "sess-sign-out-during-refresh",
        "A refresh that ends after the sign-out brings nobody back.",
        &["SESS-02"],
        sign_out_during_refresh,
    )
    .needs(&[Ability::SignOut]),
    Scenario::new(
        "sess-sign-out-revokes",
        "The sign-out revokes the refresh token that is current.",
        &["SESS-05"],
        sign_out_revokes,
    )
    .needs(&[Ability::SignOut, Ability::Revoke]),
    Scenario::new(
        "sess-orphan-is-revoked",
        "Tokens that come after the sign-out are revoked.",
        &["SESS-05", "SESS-02"],
        orphan_is_revoked,
    )
    .needs(&[Ability::SignOut, Ability::Revoke]),
    Scenario::new(
        "sess-revocation-fails",
        "A sign-out is complete, whatever the revocation endpoint says.",
        &["SESS-05"],
        revocation_fails,
    )
    .needs(&[Ability::SignOut, Ability::Revoke]),
];

/// Which families the tokens of the requests for this path were of.
fn families(stage: &Stage<'_>, path: &str) -> Vec<Option<u32>> {
    let log = stage.api.log();
    log.iter().filter(|seen| seen.target == path).map(|seen| seen.carried.map(|tag| tag.family)).collect()
}

fn sign_in_during_refresh(stage: &mut Stage<'_>) -> Played {
    let answer = stage.hold_token_answer();
    let client = stage.client_with_dead_token()?;
    let first = client.get("/of-the-first")?;
    stage.arrives(&answer, 1, "a token request")?;
    client.sign_in(&stage.auth.issue())?;
    answer.open();
    first.outcome()?;
    client.get("/of-the-second")?.answered(200)?;
    let found = families(stage, "/of-the-second");
    check(found == [Some(2)], || format!("the second user's request carried a token of {found:?}"))
}

fn waiters_of_the_first(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    let client = stage.client_with_dead_token()?;
    let first = client.get("/of-the-first")?;
    stage.arrives(&token, 1, "a token request")?;
    client.sign_in(&stage.auth.issue())?;
    token.open();
    first.outcome()?;
    let found = families(stage, "/of-the-first");
    check(!found.contains(&Some(2)), || "it was".to_owned())
}

fn late_refusal_of_the_first(stage: &mut Stage<'_>) -> Played {
    let client = stage.client_with_dead_token()?;
    let verdict = stage.hold_verdicts("/of-the-first", 1);
    let late = client.get("/of-the-first")?;
    stage.arrives(&verdict, 1, "the first user's request")?;
    client.sign_in(&stage.auth.issue())?;
    verdict.open();
    late.outcome()?;
    stage.token_requests(0)?;
    let found = families(stage, "/of-the-first");
    check(found == [Some(1)], || format!("the first user's request was sent with tokens of {found:?}"))
}

fn sign_in_heals(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([Step::new().answer(invalid_grant())]);
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.failed_but_not(&[])?;
    client.sign_in(&stage.auth.issue())?;
    client.get("/b")?.answered(200)?;
    stage.token_requests(1)
}

fn sign_out(stage: &mut Stage<'_>) -> Played {
    let client = stage.client()?;
    client.get("/before")?.answered(200)?;
    client.sign_out()?;
    client.get("/after")?.failed_but_not(&[])?;
    let carried = families(stage, "/after").into_iter().flatten().count();
    check(carried == 0, || "a request carried the token after the sign-out".to_owned())?;
    stage.token_requests(0)
}

fn sign_out_during_refresh(stage: &mut Stage<'_>) -> Played {
    let answer = stage.hold_token_answer();
    let client = stage.client_with_dead_token()?;
    let waiting = client.get("/before")?;
    stage.arrives(&answer, 1, "a token request")?;
    client.sign_out()?;
    answer.open();
    waiting.failed_but_not(&[])?;
    client.get("/after")?.failed_but_not(&[])?;
    let carried = families(stage, "/after").into_iter().flatten().count();
    check(carried == 0, || "the session is back".to_owned())
}

/// What was sent to the revocation endpoint.
fn revoked(stage: &Stage<'_>) -> Vec<String> {
    let log = stage.auth.log();
    let requests = log.iter().filter(|seen| seen.target == "/revoke");
    requests
        .flat_map(|seen| {
            let form: Vec<_> = form_urlencoded::parse(&seen.body).into_owned().collect();
            form.into_iter().filter(|(name, _)| name == "token").map(|(_, value)| value)
        })
        .collect()
}

fn is_revoked(stage: &Stage<'_>, refresh_token: &str) -> Played {
    stage.until("the refresh token that is current is revoked", || {
        revoked(stage).iter().any(|token| token == refresh_token)
    })
}

fn sign_out_revokes(stage: &mut Stage<'_>) -> Played {
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.answered(200)?;
    client.sign_out()?;
    is_revoked(stage, &current(stage)?)
}

fn orphan_is_revoked(stage: &mut Stage<'_>) -> Played {
    let answer = stage.hold_token_answer();
    let client = stage.client_with_dead_token()?;
    let waiting = client.get("/a")?;
    stage.arrives(&answer, 1, "a token request")?;
    client.sign_out()?;
    answer.open();
    waiting.failed_but_not(&[])?;
    is_revoked(stage, &current(stage)?)
}

fn revocation_fails(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([Step::new().on("/revoke").answer(crate::server::Response::new(503))]);
    let client = stage.client()?;
    client.sign_out()?;
    client.get("/after")?.failed_but_not(&[])?;
    let carried = families(stage, "/after").into_iter().flatten().count();
    check(carried == 0, || "a request carried the token after the sign-out".to_owned())
}

fn current(stage: &Stage<'_>) -> Result<String, Flaw> {
    let current = stage.auth.current(1).map(|current| current.refresh_token);
    current.ok_or_else(|| Flaw::Fails("there is no session".to_owned()))
}
