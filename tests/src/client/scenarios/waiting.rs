//! One refresh for everybody, and an end to everybody's waiting.

use super::super::{
    Scenario,
    caller::{Client, Sent},
    protocol::{Ability, Cause, Settings},
    stage::{Flaw, Played, Stage, check, invalid_grant},
};
use crate::server::{Gate, Refuse, Response, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "core-herd",
        "Twenty requests that are refused at once lead to one token request, and all are served.",
        &["CORE-01"],
        herd,
    ),
    Scenario::new(
        "core-herd-fails",
        "If that token request fails, all of them hear of it.",
        &["CORE-02", "CORE-05"],
        herd_fails,
    ),
    Scenario::new(
        "core-late-refusal",
        "A refusal of a token that was replaced meanwhile starts no refresh; the request is sent with the new one.",
        &["CORE-04"],
        late_refusal,
    ),
    Scenario::new(
        "core-late-refusals-after-failure",
        "Nor do refusals of a token whose refresh has failed for good.",
        &["CORE-05"],
        late_refusals_after_failure,
    ),
    Scenario::new(
        "core-after-failed-refresh",
        "A request that comes after a failed refresh gets an outcome.",
        &["CORE-03"],
        |stage| after(stage, Response::new(500)),
    ),
    Scenario::new(
        "core-after-empty-success",
        "So does one that comes after a success without content.",
        &["CORE-03"],
        |stage| after(stage, Response::new(200)),
    ),
    Scenario::new(
        "core-demand-during-release",
        "A request that is refused while the others are sent again gets an outcome, too.",
        &["CORE-06"],
        demand_during_release,
    ),
    Scenario::new(
        "core-token-endpoint-401",
        "The token request does not wait for itself when it is answered with 401.",
        &["CORE-15"],
        token_endpoint_401,
    ),
    Scenario::new(
        "core-one-repetition",
        "A request is sent twice at most, even if every token is refused.",
        &["RPLY-01"],
        one_repetition,
    ),
    Scenario::new(
        "core-breaker",
        "When new tokens are refused again and again, no more are asked for.",
        &["CORE-12", "CORE-11"],
        breaker,
    ),
    Scenario::new(
        "core-time-limit",
        "A caller waits no longer than it is willing to.",
        &["CORE-13"],
        time_limit,
    ),
    Scenario::new(
        "core-queue-limit",
        "There is a limit to how many wait; whoever is too much is told at once.",
        &["CORE-13"],
        queue_limit,
    )
    .needs(&[Ability::Queue]),
    Scenario::new(
        "core-last-caller-gives-up",
        "If the only caller gives up, the new token is kept all the same.",
        &["CORE-14"],
        last_caller_gives_up,
    ),
    Scenario::new(
        "core-first-caller-cancels",
        "If the caller who began the refresh takes its request back, the others are served by it.",
        &["CORE-14"],
        first_caller_cancels,
    )
    .needs(&[Ability::Cancel]),
    Scenario::new(
        "core-only-caller-cancels",
        "If the only caller takes its request back, the refresh token is not lost.",
        &["CORE-14"],
        only_caller_cancels,
    )
    .needs(&[Ability::Cancel]),
];

/// Requests whose refusals leave together.
fn refused_together<'a>(
    stage: &Stage<'_>,
    client: &'a Client<'_>,
    count: usize,
) -> Result<Vec<Sent<'a>>, Flaw> {
    let verdicts = stage.hold_verdicts("/a", count);
    let sent = (0..count).map(|_| client.get("/a")).collect::<Result<Vec<_>, _>>()?;
    stage.arrives(&verdicts, count, "all requests")?;
    verdicts.open();
    Ok(sent)
}

fn herd(stage: &mut Stage<'_>) -> Played {
    let client = stage.client_with_dead_token()?;
    for request in refused_together(stage, &client, 20)? {
        request.answered(200)?;
    }
    stage.token_requests(1)
}

fn herd_fails(stage: &mut Stage<'_>) -> Played {
    stage.auth.script((0..20).map(|_| Step::new().answer(invalid_grant())));
    let client = stage.client_with_dead_token()?;
    let token = stage.hold_token_request();
    let sent = refused_together(stage, &client, 20)?;
    token.open();
    for request in sent {
        request.failed_but_not(&[])?;
    }
    stage.token_requests(1)
}

fn late_refusal(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    let client = stage.client_with_dead_token()?;
    let verdict = stage.hold_verdicts("/late", 1);
    let late = client.get("/late")?;
    stage.arrives(&verdict, 1, "the late request")?;
    client.get("/prompt")?.answered(200)?;
    verdict.open();
    late.answered(200)?;
    stage.token_requests(1)?;
    stage.attempts("/late", &[Some(0), Some(1)])
}

fn late_refusals_after_failure(stage: &mut Stage<'_>) -> Played {
    stage.auth.script((0..6).map(|_| Step::new().answer(invalid_grant())));
    let client = stage.client_with_dead_token()?;
    let verdicts: Vec<_> = ["/1", "/2", "/3"].map(|path| (path, stage.hold_verdicts(path, 1))).into();
    let mut late = Vec::new();
    for (path, verdict) in &verdicts {
        late.push(client.get(path)?);
        stage.arrives(verdict, 1, path)?;
    }
    client.get("/first")?.failed_but_not(&[])?;
    for ((_, verdict), late) in verdicts.iter().zip(late) {
        verdict.open();
        late.failed_but_not(&[])?;
    }
    stage.token_requests(1)
}

fn after(stage: &mut Stage<'_>, answer: Response) -> Played {
    stage.auth.script([Step::new().answer(answer)]);
    let client = stage.client_with_dead_token()?;
    client.get("/first")?.outcome()?;
    client.get("/second")?.outcome().map(drop)
}

/// 1 and 2 are sent with the old token. 1 is refused, a new token comes, 1 is sent again and is under way. Now 2 is
/// refused.
fn demand_during_release(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    let client = stage.client_with_dead_token()?;
    let verdict = stage.hold_verdicts("/2", 1);
    let second = client.get("/2")?;
    stage.arrives(&verdict, 1, "the second request")?;
    let (repetition, next_token) = (Gate::new(), Gate::new());
    stage.api.script([Step::new().on("/1"), Step::new().on("/1").hold_before(&repetition)]);
    stage.auth.script([Step::new(), Step::new().hold_before(&next_token)]);
    let first = client.get("/1")?;
    stage.arrives(&repetition, 1, "the repetition of the first request")?;
    verdict.open();
    // Whether there is a second token request is the question of another scenario.
    stage.until("the refusal of the second request has an effect", || {
        stage.api.generations("/2").len() > 1 || stage.auth.log().len() > 1
    })?;
    repetition.open();
    first.answered(200)?;
    next_token.open();
    second.answered(200).map(drop)
}

fn token_endpoint_401(stage: &mut Stage<'_>) -> Played {
    stage.auth.script((0..5).map(|_| Step::new().answer(Response::new(401))));
    stage.expire();
    let origins = vec![stage.api.url(""), stage.auth.url("")];
    let client = stage.start(&Settings { origins, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.failed_but_not(&[])?;
    stage.token_requests(1)
}

/// So that it ends, the API relents after twenty refusals.
fn one_repetition(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    stage.api.change(|policy| policy.refuse = Refuse::Next(20));
    stage.client()?.get("/a")?.outcome()?;
    let attempts = stage.api.generations("/a").len();
    check(attempts <= 2, || format!("one request was sent {attempts} times"))
}

fn breaker(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    stage.api.change(|policy| policy.refuse = Refuse::Next(60));
    let client = stage.client()?;
    for _ in 0..20 {
        client.get("/a")?.outcome()?;
    }
    stage.at_most_token_requests(3)
}

fn time_limit(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    stage.expire();
    let client = stage.start(&Settings { time_limit_ms: 300, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    let outcome = client.get("/a")?.failed_but_not(&[Cause::NeedsSignIn])?;
    token.open();
    check(outcome.status == Some(401), || {
        "the caller who has waited too long does not get the refusal".to_owned()
    })
}

fn queue_limit(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    stage.expire();
    let client = stage.start(&Settings { max_waiting: 5, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    let sent = refused_together(stage, &client, 20)?;
    // The sign-in has an outcome, too.
    let told = stage.until("fifteen of twenty are told that five wait already", || client.outcomes() >= 16);
    token.open();
    told?;
    let outcomes = sent.iter().map(Sent::outcome).collect::<Result<Vec<_>, _>>()?;
    let served = outcomes.iter().filter(|outcome| outcome.status == Some(200)).count();
    check(served == 5, || format!("{served} are served where five may wait"))?;
    let told = outcomes.iter().filter(|outcome| outcome.failed == Some(Cause::Transient)).count();
    check(told == 15, || format!("{told} of fifteen are told that it will pass"))
}

fn last_caller_gives_up(stage: &mut Stage<'_>) -> Played {
    let answer = stage.hold_token_answer();
    stage.expire();
    let client =
        stage.start(&Settings { time_limit_ms: 300, exchange_limit_ms: 10_000, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.failed_but_not(&[Cause::NeedsSignIn])?;
    answer.open();
    stage.until_served(&client)?;
    kept(stage)
}

fn first_caller_cancels(stage: &mut Stage<'_>) -> Played {
    let token = stage.hold_token_request();
    let client = stage.client_with_dead_token()?;
    let first = client.get("/first")?;
    stage.arrives(&token, 1, "a token request")?;
    let verdict = stage.hold_verdicts("/second", 1);
    let second = client.get("/second")?;
    stage.until("the second request is refused, or waits", || {
        stage.api.generations("/second").len() == 1 || stage.auth.token_requests().len() == 1
    })?;
    verdict.open();
    client.cancel(&first)?;
    first.failed(&[Cause::Cancelled])?;
    token.open();
    second.answered(200)?;
    stage.token_requests(1)
}

fn only_caller_cancels(stage: &mut Stage<'_>) -> Played {
    let answer = stage.hold_token_answer();
    let client = stage.client_with_dead_token()?;
    let only = client.get("/only")?;
    stage.arrives(&answer, 1, "a token request")?;
    client.cancel(&only)?;
    only.failed(&[Cause::Cancelled])?;
    answer.open();
    stage.until_served(&client)?;
    kept(stage)
}

/// The new tokens were not lost: nobody had to ask for them again.
fn kept(stage: &Stage<'_>) -> Played {
    stage.presented_at_most(1)?;
    check(stage.auth.families_revoked() == 0, || "the session is lost".to_owned())
}
