//! Where the token may go, and how it travels.

use super::super::{
    Scenario,
    protocol::{Request, Settings},
    stage::{Played, Stage, check, invalid_grant},
};
use crate::server::{Challenge, ResourceServer, Response, Seen, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "auth-field-only",
        "The token travels in one `Authorization` field, and nowhere else.",
        &["AUTH-01"],
        field_only,
    ),
    Scenario::new(
        "auth-own-credentials",
        "The caller's own credentials reach the API as they are, and their refusal refreshes nothing.",
        &["AUTH-04"],
        own_credentials,
    ),
    Scenario::new(
        "sec-foreign-origin",
        "A server that is not on the list of origins gets no token, and its 401 refreshes nothing.",
        &["SEC-02", "CHAL-08"],
        foreign_origin,
    ),
    Scenario::new(
        "sec-look-alikes",
        "Neither userinfo nor another name of the host makes an origin of another one.",
        &["SEC-02"],
        look_alikes,
    ),
    Scenario::new("sec-no-origins", "An empty list of origins means none.", &["SEC-02"], no_origins),
    Scenario::new(
        "sec-redirect-302",
        "A redirect to another origin loses the token.",
        &["SEC-03"],
        |stage| redirect(stage, 302),
    ),
    Scenario::new("sec-redirect-307", "So does one that keeps method and content.", &["SEC-03"], |stage| {
        redirect(stage, 307)
    }),
    Scenario::new(
        "sec-redirect-and-back",
        "It does not come back when that origin redirects to where it began.",
        &["SEC-03"],
        there_and_back,
    ),
    Scenario::new(
        "rply-refusal-elsewhere",
        "A 401 from where a redirect led says nothing about the token.",
        &["RPLY-05"],
        refusal_elsewhere,
    ),
    Scenario::new(
        "xreq-challenge-names-no-endpoint",
        "A refresh token does not go to a server that a challenge names, nor to the API.",
        &["XREQ-07"],
        rogue_endpoint,
    ),
    Scenario::new(
        "sec-no-secrets-shown",
        "Neither an error nor the standard error of the program shows a token.",
        &["SEC-04"],
        no_secrets,
    ),
];

/// No request that this server saw carries a token, wherever it may be.
fn no_token(server: &ResourceServer) -> Played {
    let holds = |text: &str| text.contains("at-1-") || text.contains("rt-1-");
    let carries = |seen: &Seen| {
        let fields = seen.headers.iter().any(|(_, value)| holds(value));
        fields || holds(&seen.target) || holds(&String::from_utf8_lossy(&seen.body))
    };
    let found = server.log().iter().filter(|seen| carries(seen)).count();
    check(found == 0, || format!("{found} requests carried a token to a server that must not have it"))
}

fn field_only(stage: &mut Stage<'_>) -> Played {
    stage.client_with_dead_token()?.get("/a?x=1")?.answered(200)?;
    for seen in stage.api.log() {
        let fields = seen.headers.all("authorization").count();
        check(fields == 1, || format!("{fields} `Authorization` fields in one request"))?;
        check(!seen.target.contains("at-1-"), || "the token is in the target of a request".to_owned())?;
        check(seen.body_len == 0, || "a GET request has content".to_owned())?;
    }
    Ok(())
}

fn own_credentials(stage: &mut Stage<'_>) -> Played {
    let own = "Basic bWU6bXlzZWxm";
    let client = stage.client()?;
    client.send(Request::get(stage.api.url("/own")).header("authorization", own))?.answered(401)?;
    let log = stage.api.log();
    let seen: Vec<_> = log.iter().flat_map(|seen| seen.headers.all("authorization")).collect();
    check(seen == [own], || format!("of the caller's credentials the API saw {seen:?}"))?;
    stage.token_requests(0)
}

fn foreign_origin(stage: &mut Stage<'_>) -> Played {
    let elsewhere = stage.elsewhere()?;
    let client = stage.client()?;
    let sent = client.send(Request::get(elsewhere.url("/a")))?.answered(401);
    no_token(&elsewhere)?;
    sent?;
    stage.token_requests(0)
}

/// Whether a client takes such an address at all is its own business.
fn look_alikes(stage: &mut Stage<'_>) -> Played {
    let elsewhere = stage.elsewhere()?;
    let client = stage.client()?;
    let (api, other) = (stage.api.addr(), elsewhere.addr());
    for url in [
        format!("http://{api}@{other}/userinfo"),
        format!("http://{other}/path?{api}"),
        format!("http://{other}/#{api}"),
        format!("http://localhost:{}/name", api.port()),
    ] {
        client.send(Request::get(url))?.outcome()?;
    }
    check(!elsewhere.log().is_empty(), || "no such request was sent".to_owned())?;
    no_token(&elsewhere)?;
    check(stage.api.log().iter().all(|seen| seen.carried.is_none()), || {
        "`localhost` got the token that is for `127.0.0.1`".to_owned()
    })?;
    stage.token_requests(0)
}

fn no_origins(stage: &mut Stage<'_>) -> Played {
    let client = stage.start(&Settings { origins: Vec::new(), ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    let sent = client.get("/a")?.answered(401);
    no_token(&stage.api)?;
    sent?;
    stage.token_requests(0)
}

fn to(status: u16, url: &str) -> Step {
    Step::new().answer(Response::new(status).header("Location", url))
}

/// A client that follows no redirects passes, too.
fn redirect(stage: &mut Stage<'_>, status: u16) -> Played {
    let elsewhere = stage.elsewhere()?;
    stage.api.script([to(status, &elsewhere.url("/b"))]);
    stage.client()?.get("/a")?.outcome()?;
    no_token(&elsewhere)
}

fn there_and_back(stage: &mut Stage<'_>) -> Played {
    let elsewhere = stage.elsewhere()?;
    stage.api.script([to(302, &elsewhere.url("/b"))]);
    elsewhere.script([to(302, &stage.api.url("/back"))]);
    stage.client()?.get("/a")?.outcome()?;
    no_token(&elsewhere)?;
    check(stage.api.generations("/back").iter().all(Option::is_none), || {
        "the token was put on again after a foreign server had chosen the target".to_owned()
    })
}

fn refusal_elsewhere(stage: &mut Stage<'_>) -> Played {
    let elsewhere = stage.elsewhere()?;
    stage.api.script([to(302, &elsewhere.url("/b"))]);
    stage.client()?.get("/a")?.outcome()?;
    stage.token_requests(0)?;
    stage.attempts("/a", &[Some(0)])
}

fn rogue_endpoint(stage: &mut Stage<'_>) -> Played {
    let rogue = stage.elsewhere()?;
    let metadata = rogue.url("/.well-known/oauth-protected-resource");
    let challenge = format!("Bearer error=\"invalid_token\", resource_metadata=\"{metadata}\"");
    stage.api.change(|policy| policy.challenge = Challenge::Raw(vec![challenge]));
    stage.client_with_dead_token()?.get("/a")?.answered(200)?;
    no_token(&rogue)?;
    let log = stage.api.log();
    let leaked = log.iter().any(|seen| {
        let content = String::from_utf8_lossy(&seen.body);
        content.contains("rt-1-") || seen.headers.iter().any(|(_, value)| value.contains("rt-1-"))
    });
    check(!leaked, || "the API got the refresh token".to_owned())
}

fn no_secrets(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([Step::new(), Step::new().answer(invalid_grant())]);
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.answered(200)?;
    stage.expire();
    let shown = [client.get("/b")?.outcome()?, client.get("/c")?.outcome()?];
    client.leave();
    let current = stage.auth.current(1).unwrap_or_else(|| stage.tokens.clone());
    let tokens = [&stage.tokens, &current].map(|issued| [&issued.access_token, &issued.refresh_token]);
    // The beginning of a value is its name; what follows is the secret, and eight characters of it are too many.
    let secret =
        |token: &String| token.rsplit('-').next().unwrap_or_default().chars().take(8).collect::<String>();
    let texts = shown.iter().filter_map(|outcome| outcome.error.clone()).chain([client.errors()]);
    for text in texts {
        let found = tokens.iter().flatten().any(|token| text.contains(&secret(token)));
        check(!found, || "an error or the standard error shows a token".to_owned())?;
    }
    Ok(())
}
