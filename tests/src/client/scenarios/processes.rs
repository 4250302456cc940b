//! Two processes, one credential: programs that share a file, die and stop.

use std::time::Duration;

use super::super::{
    Scenario,
    caller::Client,
    protocol::{Ability, Cause, Outcome, Settings},
    stage::{Flaw, Played, Stage, check},
};
use crate::server::Reuse;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "mp-refused-at-once",
        "Two processes that are refused at once present the refresh token once, and both are served.",
        &["MP-01"],
        refused_at_once,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "mp-adopts",
        "A process whose token another one has replaced takes the new one, and asks for none.",
        &["MP-02"],
        adopts,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "mp-presents-what-is-stored",
        "It presents the refresh token that is stored, not the one it remembers.",
        &["MP-02"],
        presents_what_is_stored,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "mp-sign-out-is-seen",
        "A sign-out in one process ends the session in the other, at its next refresh at the latest.",
        &["SESS-04"],
        sign_out_is_seen,
    )
    .needs(&[Ability::Store, Ability::SignOut]),
    Scenario::new(
        "pers-restart",
        "A program that is started again goes on with the stored tokens.",
        &["PERS-01"],
        restart,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "pers-killed-after-answer",
        "A program that is killed when its caller has the answer has stored the new refresh token before.",
        &["PERS-01"],
        killed_after_answer,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "pers-private-file",
        "Nobody but its owner may read the file.",
        &["SEC-05", "PERS-03"],
        private_file,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "pers-unreadable-store",
        "A store that cannot be read is not taken for one that is empty, nor written over.",
        &["PERS-04"],
        unreadable_store,
    )
    .needs(&[Ability::Store]),
    Scenario::new(
        "mp-killed-before-answer",
        "When a process is killed while the server is at work, the next one presents the refresh token once at most.",
        &["MP-09", "RETRY-02"],
        killed_before_answer,
    )
    .needs(&[Ability::Store]),
    #[cfg(unix)]
    Scenario::new(
        "mp-stopped-during-refresh",
        "While a process is stopped in the middle of a refresh, the other presents the refresh token once at most; \
         both are served in the end.",
        &["MP-09", "MP-07"],
        stopped_during_refresh,
    )
    .needs(&[Ability::Store]),
];

/// Two programs that share the session. Both have used its token.
fn two<'a>(stage: &'a Stage<'_>, settings: &Settings) -> Result<[Client<'a>; 2], Flaw> {
    let one = stage.start(settings)?;
    one.sign_in(&stage.tokens)?;
    let other = stage.start(settings)?;
    for client in [&one, &other] {
        client.get("/before")?.answered(200)?;
    }
    Ok([one, other])
}

fn shared(stage: &mut Stage<'_>) -> Result<Settings, Flaw> {
    let store = stage.store()?;
    Ok(Settings { store: Some(store.display().to_string()), ..stage.settings() })
}

fn session_lives(stage: &Stage<'_>) -> Played {
    check(stage.auth.families_revoked() == 0, || "the session is lost".to_owned())
}

fn refused_at_once(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    let clients = two(stage, &settings)?;
    stage.expire();
    let verdicts = stage.hold_verdicts("/a", 2);
    let sent = [clients[0].get("/a")?, clients[1].get("/a")?];
    stage.arrives(&verdicts, 2, "both requests")?;
    verdicts.open();
    let outcomes = sent.map(|sent| sent.outcome());
    stage.presented_at_most(1)?;
    session_lives(stage)?;
    let served =
        |outcome: &Result<Outcome, Flaw>| outcome.as_ref().is_ok_and(|outcome| outcome.status == Some(200));
    check(outcomes.iter().all(served), || "only one of the two processes is served".to_owned())
}

fn adopts(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    let [one, other] = two(stage, &settings)?;
    stage.expire();
    one.get("/one")?.answered(200)?;
    other.get("/other")?.answered(200)?;
    stage.token_requests(1)
}

fn presents_what_is_stored(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    let [one, other] = two(stage, &settings)?;
    stage.expire();
    one.get("/one")?.answered(200)?;
    stage.expire();
    // The first stored token that it finds is not good any more either, and one repetition is all that a request has.
    stage.until_served(&other)?;
    session_lives(stage)?;
    stage.presented_at_most(1)
}

fn sign_out_is_seen(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    let [one, other] = two(stage, &settings)?;
    stage.expire();
    one.sign_out()?;
    other.get("/other")?.failed(&[Cause::NeedsSignIn])?;
    stage.token_requests(0)
}

fn restart(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    stage.expire();
    let client = stage.start(&settings)?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.answered(200)?;
    client.leave();
    let client = stage.start(&settings)?;
    client.get("/b")?.answered(200)?;
    stage.attempts("/b", &[Some(1)])?;
    stage.expire();
    client.get("/c")?.answered(200)?;
    session_lives(stage)
}

fn killed_after_answer(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    stage.expire();
    let client = stage.start(&settings)?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.answered(200)?;
    client.kill();
    stage.expire();
    let client = stage.start(&settings)?;
    client.get("/b")?.answered(200)?;
    session_lives(stage)?;
    stage.presented_at_most(1)
}

#[cfg(unix)]
fn private_file(stage: &mut Stage<'_>) -> Played {
    use std::os::unix::fs::PermissionsExt as _;

    let settings = shared(stage)?;
    let client = stage.start(&settings)?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.answered(200)?;
    let metadata = settings.store.as_deref().map(std::fs::metadata);
    let Some(Ok(metadata)) = metadata else { return Err(Flaw::Fails("there is no such file".to_owned())) };
    let mode = metadata.permissions().mode() & 0o777;
    check(mode.trailing_zeros() >= 6, || format!("the file has the mode {mode:o}"))
}

#[cfg(not(unix))]
fn private_file(_: &mut Stage<'_>) -> Played {
    Err(Flaw::Kit("what a file is protected by is not known on this system".to_owned()))
}

fn unreadable_store(stage: &mut Stage<'_>) -> Played {
    let settings = shared(stage)?;
    let client = stage.start(&settings)?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.answered(200)?;
    let file = settings.store.clone().unwrap_or_default();
    let garbage = b"{\"this\": is no record\n";
    std::fs::write(&file, garbage)
        .map_err(|error| Flaw::Kit(format!("the store cannot be broken: {error}")))?;
    stage.expire();
    client.get("/b")?.failed_but_not(&[Cause::NeedsSignIn])?;
    client.leave();
    check(std::fs::read(&file).is_ok_and(|found| found == garbage), || {
        "the store that could not be read was written over".to_owned()
    })
}

/// The claimant is dead, and the time that it had for its exchange passes soon.
fn killed_before_answer(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.reuse = Reuse::Within(Duration::from_secs(30)));
    let settings = Settings { exchange_limit_ms: 300, ..shared(stage)? };
    let [one, other] = two(stage, &settings)?;
    stage.expire();
    let answer = stage.hold_token_answer();
    one.get("/one")?;
    stage.arrives(&answer, 1, "a token request")?;
    one.kill();
    answer.open();
    let served = stage.until_served(&other);
    stage.presented_at_most(2)?;
    session_lives(stage)?;
    served.map_err(|_| {
        Flaw::Weak(
            "the session is given up, although the server would still take its refresh token".to_owned(),
        )
    })
}

#[cfg(unix)]
fn stopped_during_refresh(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.reuse = Reuse::Within(Duration::from_secs(30)));
    let settings = Settings { exchange_limit_ms: 300, ..shared(stage)? };
    let [one, other] = two(stage, &settings)?;
    stage.expire();
    let answer = stage.hold_token_answer();
    let interrupted = one.get("/one")?;
    stage.arrives(&answer, 1, "a token request")?;
    one.pause(true)?;
    answer.open();
    let served = stage.until_served(&other);
    one.pause(false)?;
    interrupted.outcome()?;
    stage.presented_at_most(2)?;
    session_lives(stage)?;
    served?;
    stage.until_served(&one)?;
    stage.presented_at_most(2)?;
    session_lives(stage)
}
