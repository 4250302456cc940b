//! What is made of a token endpoint that grants nothing.

use super::super::{
    Scenario,
    protocol::{self, Ability, Cause, Profile, Settings},
    stage::{Played, Stage, check, error, invalid_grant},
};
use crate::server::{ClientAuth, Issued, Response, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "xrsp-invalid-grant",
        "A refresh token that is refused is finished: the user has to sign in, and nobody asks again.",
        &["CORE-07", "XRSP-10"],
        |stage| refused_for_good(stage, &error(400, "invalid_grant")),
    ),
    Scenario::new("xrsp-200-with-error", "An error is an error under 200, too.", &["XRSP-02"], |stage| {
        refused_for_good(stage, &error(200, "invalid_grant"))
    }),
    Scenario::new(
        "xrsp-401-without-code",
        "At an endpoint of one's own, a 401 refuses the refresh token.",
        &["XRSP-13"],
        json_401,
    )
    .needs(&[Ability::Json]),
    Scenario::new(
        "xrsp-invalid-client",
        "A client that is not accepted is the operator's business: the session is not lost.",
        &["XRSP-12", "OBS-02"],
        |stage| misconfigured(stage, &error(401, "invalid_client")),
    ),
    Scenario::new(
        "xrsp-unauthorized-client",
        "So is a grant type that is not allowed.",
        &["XRSP-12"],
        |stage| misconfigured(stage, &error(400, "unauthorized_client")),
    ),
    Scenario::new(
        "xrsp-404",
        "A 404 of the token endpoint is no word about the refresh token.",
        &["XRSP-10"],
        |stage| {
            kept(
                stage,
                Response::new(404).body("<html>not here</html>"),
                &[Cause::Misconfigured, Cause::Transient],
            )
        },
    ),
    Scenario::new("xrsp-400-html", "Nor is a 400 that comes from a firewall.", &["XRSP-10"], |stage| {
        let page = Response::new(400).header("Content-Type", "text/html").body("<html>invalid_grant</html>");
        kept(stage, page, &[Cause::Misconfigured, Cause::Transient, Cause::Uncertain])
    }),
    Scenario::new("xrsp-511", "Nor is a network that wants a login of its own.", &["XRSP-10"], |stage| {
        kept(stage, Response::new(511).body("<html>"), &[Cause::Transient, Cause::Uncertain])
    }),
    Scenario::new(
        "xrsp-503",
        "A server that is busy is asked again later, and the session goes on.",
        &["XRSP-11", "CORE-09"],
        |stage| recovers(stage, Response::new(503)),
    ),
    Scenario::new("xrsp-429", "So is one that is asked too often.", &["XRSP-11", "CORE-09"], |stage| {
        recovers(stage, Response::new(429))
    }),
    Scenario::new(
        "xrsp-temporarily-unavailable",
        "The error code for it counts, whatever the status.",
        &["XRSP-11", "XRSP-10"],
        |stage| recovers(stage, error(400, "temporarily_unavailable")),
    ),
    Scenario::new(
        "xrsp-200-html",
        "A page instead of a token is no token, and no end of the session.",
        &["XRSP-09", "XRSP-01"],
        |stage| kept(stage, Response::new(200).body("<html>"), &[Cause::Transient, Cause::Uncertain]),
    ),
    Scenario::new(
        "retry-after-obeyed",
        "A server that says when it will be back is left alone until then.",
        &["RETRY-05"],
        retry_after,
    ),
    Scenario::new("retry-after-garbage", "A time that cannot be read is none.", &["RETRY-05"], |stage| {
        recovers(stage, Response::new(503).header("Retry-After", "in a minute"))
    }),
    Scenario::new(
        "obs-causes",
        "Callers can tell a server that is busy, a session that is over, and a mistake in the configuration.",
        &["OBS-02"],
        causes,
    ),
    Scenario::new(
        "core-no-refresh-token",
        "Without a refresh token the refusal is handed on as it came, and nothing is asked for.",
        &["CORE-10"],
        no_refresh_token,
    ),
    Scenario::new(
        "xrsp-401-with-client-authentication",
        "Where the client authenticates, a bare 401 refuses the client.",
        &["XRSP-13"],
        bare_401,
    )
    .needs(&[Ability::Oauth, Ability::Basic]),
];

/// The answer ends the session: all that come later fail, and there is no other token request.
fn refused_for_good(stage: &mut Stage<'_>, answer: &Response) -> Played {
    stage.auth.script((0..6).map(|_| Step::new().answer(answer.clone())));
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.failed(&[Cause::NeedsSignIn])?;
    for _ in 0..3 {
        client.get("/later")?.failed(&[Cause::NeedsSignIn])?;
    }
    stage.token_requests(1)
}

fn json_401(stage: &mut Stage<'_>) -> Played {
    stage.auth.revoke_family(1);
    stage.expire();
    let (profile, token_endpoint) = (Profile::Json, stage.auth.url("/refresh"));
    let client = stage.start(&Settings { profile, token_endpoint, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.failed(&[Cause::NeedsSignIn])?;
    client.get("/later")?.failed(&[Cause::NeedsSignIn])?;
    stage.token_requests(1)
}

fn misconfigured(stage: &mut Stage<'_>, answer: &Response) -> Played {
    stage.auth.script((0..6).map(|_| Step::new().answer(answer.clone())));
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.failed(&[Cause::Misconfigured])?;
    client.get("/later")?.failed(&[Cause::Misconfigured])?;
    stage.token_requests(1)
}

/// The answer says nothing about the refresh token: nobody has to sign in.
fn kept(stage: &mut Stage<'_>, answer: Response, causes: &[Cause]) -> Played {
    stage.auth.script([Step::new().answer(answer)]);
    let outcome = stage.client_with_dead_token()?.get("/a")?.outcome()?;
    // A client may ask again by itself while its caller waits.
    let right = outcome.failed.map_or(outcome.status == Some(200), |cause| causes.contains(&cause));
    check(right, || format!("the caller hears {:?} of it, not {causes:?}", outcome.failed))
}

/// The answer comes once; whoever asks long enough gets a token.
fn recovers(stage: &mut Stage<'_>, answer: Response) -> Played {
    stage.auth.script([Step::new().answer(answer)]);
    let client = stage.client_with_dead_token()?;
    // A client may ask again by itself while its caller waits.
    let first = client.get("/a")?.outcome()?;
    let lost = first.failed == Some(Cause::NeedsSignIn);
    check(!lost, || "the session is given up although nobody has refused the refresh token".to_owned())?;
    stage.until_served(&client)?;
    stage.at_most_token_requests(5)
}

fn retry_after(stage: &mut Stage<'_>) -> Played {
    let busy = || Step::new().answer(Response::new(503).header("Retry-After", "1800"));
    stage.auth.script((0..6).map(|_| busy()));
    let client = stage.client_with_dead_token()?;
    for _ in 0..5 {
        client.get("/a")?.failed_but_not(&[Cause::NeedsSignIn])?;
    }
    stage.token_requests(1)
}

fn causes(stage: &mut Stage<'_>) -> Played {
    for (answer, cause) in [
        (Response::new(503).header("Retry-After", "1800"), Cause::Transient),
        (error(400, "invalid_client"), Cause::Misconfigured),
        (invalid_grant(), Cause::NeedsSignIn),
    ] {
        stage.auth.script([Step::new().answer(answer)]);
        stage.client_with_dead_token()?.get("/a")?.failed(&[cause])?;
    }
    Ok(())
}

fn no_refresh_token(stage: &mut Stage<'_>) -> Played {
    stage.expire();
    let client = stage.start(&stage.settings())?;
    client.sign_in(&Issued { refresh_token: String::new(), ..stage.tokens.clone() })?;
    let outcome = client.get("/a")?.outcome()?;
    let refusal = (outcome.status, outcome.body.as_deref());
    check(refusal == (Some(401), Some(r#"{"message":"unauthorized"}"#)), || {
        format!("the caller does not get the API's refusal: {refusal:?}")
    })?;
    let asked = stage.auth.log().len();
    check(asked == 0, || "the token endpoint was asked, with nothing to present".to_owned())
}

fn bare_401(stage: &mut Stage<'_>) -> Played {
    let client = ClientAuth::Basic { id: "test".to_owned(), secret: "secret".to_owned() };
    stage.auth.change(|policy| policy.client = client);
    stage.auth.script([Step::new().answer(Response::new(401))]);
    stage.expire();
    let settings = Settings {
        client_secret: Some("secret".to_owned()),
        client_auth: protocol::ClientAuth::Basic,
        ..stage.settings()
    };
    let client = stage.start(&settings)?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.failed(&[Cause::Misconfigured]).map(drop)
}
