//! What is made of answers that are lost: nobody knows whether the refresh token is spent.

use std::time::Duration;

use super::super::{
    Scenario,
    caller::Client,
    protocol::{Cause, Settings},
    stage::{Flaw, Played, Stage, check},
};
use crate::server::{ClosedPort, Cut, Response, Reuse, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "retry-dropped-before-reading",
        "A connection that is reset before the server has read is survived.",
        &["RETRY-01", "RETRY-02"],
        |stage| lost(stage, Step::new().cut(Cut::BeforeReading)),
    ),
    Scenario::new(
        "retry-dropped-after-head",
        "So is one that ends after the head of the request.",
        &["RETRY-01", "RETRY-02"],
        |stage| lost(stage, Step::new().cut(Cut::AfterHead)),
    ),
    Scenario::new(
        "retry-dropped-after-processing",
        "An answer that is lost with the new refresh token leads to one more presentation at most.",
        &["RETRY-02"],
        |stage| lost(stage, Step::new().cut(Cut::AfterProcessing)),
    ),
    Scenario::new(
        "retry-cut-in-body",
        "So does one that breaks off in its content.",
        &["RETRY-02", "XRSP-09"],
        |stage| lost(stage, Step::new().cut(Cut::InBody(20))),
    ),
    Scenario::new(
        "retry-500-after-processing",
        "So does a 500 that hides the new refresh token.",
        &["RETRY-02"],
        |stage| lost(stage, Step::new().edit(|_| Response::new(500))),
    ),
    Scenario::new(
        "retry-silence",
        "So does an answer that does not come in time.",
        &["RETRY-02", "CORE-03"],
        silence,
    ),
    Scenario::new(
        "retry-strict-server",
        "A server without grace sees the spent refresh token twice at most.",
        &["RETRY-02"],
        strict_server,
    ),
    Scenario::new(
        "retry-nobody-listens",
        "A token endpoint that takes no connections fails its callers, and costs no session.",
        &["RETRY-01", "CORE-02"],
        nobody_listens,
    ),
    Scenario::new(
        "retry-no-storm",
        "A server that drops every connection is not asked for each request again.",
        &["CORE-11", "RETRY-04"],
        no_storm,
    ),
];

/// The first answer is lost; the server takes the old refresh token for half a minute more.
fn lost(stage: &mut Stage<'_>, step: Step) -> Played {
    stage.auth.change(|policy| policy.reuse = Reuse::Within(Duration::from_secs(30)));
    stage.auth.script([step]);
    let client = stage.client_with_dead_token()?;
    once_more_at_most(stage, &client)
}

fn once_more_at_most(stage: &Stage<'_>, client: &Client<'_>) -> Played {
    client.get("/a")?.outcome()?;
    let served = stage.until_served(client);
    stage.presented_at_most(2)?;
    check(stage.auth.families_revoked() == 0, || "the session is lost".to_owned())?;
    served.map_err(|_| {
        Flaw::Weak(
            "the session is given up, although the server would still take its refresh token".to_owned(),
        )
    })
}

fn silence(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.reuse = Reuse::Within(Duration::from_secs(30)));
    let answer = stage.hold_token_answer();
    stage.expire();
    let client = stage.start(&Settings { exchange_limit_ms: 300, time_limit_ms: 300, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    let played = once_more_at_most(stage, &client);
    answer.open();
    played
}

fn strict_server(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([Step::new().cut(Cut::AfterProcessing)]);
    let client = stage.client_with_dead_token()?;
    for _ in 0..10 {
        client.get("/a")?.outcome()?;
    }
    stage.presented_at_most(2)
}

fn nobody_listens(stage: &mut Stage<'_>) -> Played {
    let port = ClosedPort::new().and_then(|port| Ok((port.addr()?, port)));
    let (addr, _port) = port.map_err(|error| Flaw::Kit(format!("no port: {error}")))?;
    stage.expire();
    let client =
        stage.start(&Settings { token_endpoint: format!("http://{addr}/token"), ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.failed_but_not(&[Cause::NeedsSignIn, Cause::Misconfigured])?;
    client.get("/b")?.failed_but_not(&[Cause::NeedsSignIn, Cause::Misconfigured]).map(drop)
}

fn no_storm(stage: &mut Stage<'_>) -> Played {
    stage.auth.script((0..40).map(|_| Step::new().cut(Cut::BeforeProcessing)));
    let client = stage.client_with_dead_token()?;
    for _ in 0..20 {
        client.get("/a")?.failed_but_not(&[])?;
    }
    let seen = stage.auth.log().len();
    check(seen <= 5, || format!("{seen} token requests for 20 requests, none of which was answered"))
}
