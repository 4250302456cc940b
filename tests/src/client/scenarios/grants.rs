//! What is made of the tokens that come.

use serde_json::{Value, json};

use super::super::{
    Scenario,
    protocol::{Ability, Request},
    stage::{Played, Stage, check},
};
use crate::server::{Issued, OldAccessToken, Response, Rotation, Step};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "xrsp-rotation",
        "A new refresh token replaces the old one at once.",
        &["XRSP-04"],
        |stage| rotation(stage, Rotation::Always),
    ),
    Scenario::new(
        "xrsp-no-refresh-token",
        "An answer without a refresh token leaves the old one in place.",
        &["XRSP-03"],
        |stage| rotation(stage, Rotation::None),
    ),
    Scenario::new(
        "xrsp-same-refresh-token",
        "An answer may repeat the refresh token.",
        &["XRSP-03"],
        |stage| rotation(stage, Rotation::Same),
    ),
    Scenario::new(
        "xrsp-empty-refresh-token",
        "An empty refresh token is none.",
        &["XRSP-03"],
        empty_refresh_token,
    ),
    Scenario::new("xrsp-expires-in-text", "A lifetime may be written as text.", &["XRSP-05"], |stage| {
        lifetime(stage, json!("3600"))
    }),
    Scenario::new("xrsp-expires-in-null", "A lifetime may be null.", &["XRSP-05"], |stage| {
        lifetime(stage, Value::Null)
    }),
    Scenario::new("xrsp-expires-in-garbage", "A lifetime may be nonsense.", &["XRSP-05"], |stage| {
        lifetime(stage, json!("soon"))
    }),
    Scenario::new(
        "xrsp-expires-in-huge",
        "A lifetime may be longer than any clock can tell.",
        &["XRSP-05"],
        |stage| lifetime(stage, json!(1e300)),
    ),
    Scenario::new(
        "time-expires-in-zero",
        "A token that is over when it comes serves those who wait for it, and starts no loop.",
        &["TIME-06"],
        |stage| no_lifetime(stage, json!(0)),
    ),
    Scenario::new("time-expires-in-negative", "Nor does one that was over before.", &["TIME-06"], |stage| {
        no_lifetime(stage, json!(-5))
    }),
    Scenario::new(
        "time-anchor",
        "The life of a token counts from when it was asked for, not from when the answer came.",
        &["TIME-01"],
        anchor,
    ),
    Scenario::new(
        "xrsp-more-members",
        "Members that nobody knows are passed over.",
        &["XRSP-01"],
        more_members,
    ),
    Scenario::new("xrsp-token-type-lower-case", "`bearer` is `Bearer`.", &["AUTH-02"], |stage| {
        stage.auth.change(|policy| policy.token_type = Some("bearer".to_owned()));
        stage.client_with_dead_token()?.get("/a")?.answered(200)?;
        stage.attempts("/a", &[Some(0), Some(1)])
    }),
    Scenario::new(
        "auth-token-type-unknown",
        "A token of a type that is not understood is not sent.",
        &["AUTH-02"],
        unknown_type,
    ),
    Scenario::new(
        "auth-token-with-line-break",
        "A token that cannot stand in a field is not sent, and injects nothing.",
        &["AUTH-03"],
        |stage| unusable(stage, "a\r\nX-Injected: y"),
    ),
    Scenario::new("xrsp-empty-access-token", "An empty access token is none.", &["XRSP-01"], |stage| {
        unusable(stage, "")
    }),
    Scenario::new(
        "xrsp-two-mebibytes",
        "An answer of two mebibytes is not read to its end.",
        &["XRSP-01", "SEC-06"],
        too_long,
    ),
    Scenario::new(
        "xrsp-old-token-dies",
        "A server that ends the old token at the refresh takes nobody's request away.",
        &["CORE-04"],
        old_token_dies,
    ),
    Scenario::new(
        "time-opaque-token",
        "A token that looks like a JWT of the past is not looked into.",
        &["TIME-07"],
        opaque,
    ),
    Scenario::new(
        "auth-known-end",
        "A token that is known to be over is replaced before it is sent.",
        &["AUTH-06"],
        known_end,
    ),
    Scenario::new(
        "dpop-token-type",
        "A token that is bound to a key is not sent as a bearer token.",
        &["AUTH-02", "XRSP-07"],
        bound_token,
    )
    .needs(&[Ability::Oauth]),
];

/// Two refreshes, one after the other.
fn rotation(stage: &mut Stage<'_>, rotation: Rotation) -> Played {
    stage.auth.change(|policy| policy.rotation = rotation);
    let client = stage.client_with_dead_token()?;
    client.get("/first")?.answered(200)?;
    stage.expire();
    let second = client.get("/second")?.outcome();
    check(stage.auth.families_revoked() == 0, || {
        "the session is lost: a spent refresh token was presented again".to_owned()
    })?;
    let second = second?;
    check(second.status == Some(200), || format!("the second refresh does not work: {:?}", second.status))?;
    stage.attempts("/second", &[Some(1), Some(2)])?;
    stage.token_requests(2)
}

/// Changes a member of the next grant.
fn with(name: &'static str, value: Value) -> Step {
    Step::new().edit(move |answer| {
        let mut grant: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(grant) = grant.as_object_mut() {
            grant.insert(name.to_owned(), value.clone());
        }
        Response::json(answer.status, &grant)
    })
}

fn empty_refresh_token(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.rotation = Rotation::None);
    stage.auth.script([with("refresh_token", json!(""))]);
    let client = stage.client_with_dead_token()?;
    client.get("/first")?.answered(200)?;
    stage.expire();
    client.get("/second")?.answered(200)?;
    stage.token_requests(2)
}

/// The token is good, and nothing is known against it.
fn lifetime(stage: &mut Stage<'_>, expires_in: Value) -> Played {
    stage.auth.change(|policy| policy.expires_in = Some(expires_in));
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.answered(200)?;
    client.get("/b")?.answered(200)?;
    stage.attempts("/b", &[Some(1)])?;
    stage.token_requests(1)
}

fn no_lifetime(stage: &mut Stage<'_>, expires_in: Value) -> Played {
    stage.auth.change(|policy| policy.expires_in = Some(expires_in));
    let client = stage.client_with_dead_token()?;
    let verdicts = stage.hold_verdicts("/a", 10);
    let herd = (0..10).map(|_| client.get("/a")).collect::<Result<Vec<_>, _>>()?;
    stage.arrives(&verdicts, 10, "ten requests")?;
    verdicts.open();
    for request in herd {
        request.answered(200)?;
    }
    for _ in 0..10 {
        client.get("/later")?.outcome()?;
    }
    stage.at_most_token_requests(5)
}

fn anchor(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.expires_in = Some(json!(1)));
    let second = std::time::Duration::from_millis(1100);
    stage.auth.script([Step::new().delay_before(second), with("expires_in", json!(3600))]);
    let client = stage.client_with_dead_token()?;
    client.get("/a")?.answered(200)?;
    client.get("/b")?.answered(200)?;
    stage.attempts("/b", &[Some(2)])
}

fn more_members(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([with("extra", json!({ "access_token": [1, null], "error": { "deep": [[[[]]]] } }))]);
    stage.client_with_dead_token()?.get("/a")?.answered(200)?;
    stage.attempts("/a", &[Some(0), Some(1)])
}

fn unknown_type(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([with("token_type", json!("mac"))]);
    not_served(stage)
}

fn bound_token(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([with("token_type", json!("DPoP"))]);
    stage.client_with_dead_token()?.get("/a")?.outcome()?;
    let bearer = |value: &str| value.to_ascii_lowercase().starts_with("bearer at-1-1-");
    let log = stage.api.log();
    check(!log.iter().any(|seen| seen.headers.all("authorization").any(bearer)), || {
        "a token of the type `DPoP` was sent as a bearer token".to_owned()
    })
}

fn unusable(stage: &mut Stage<'_>, access_token: &'static str) -> Played {
    stage.auth.script([with("access_token", json!(access_token))]);
    not_served(stage)?;
    let injected = stage.api.log().iter().any(|seen| seen.headers.get("x-injected").is_some());
    check(!injected, || "a field was injected into a request".to_owned())
}

/// There is no new token, and the API sees only the old one.
fn not_served(stage: &mut Stage<'_>) -> Played {
    let client = stage.client_with_dead_token()?;
    let sent = client.get("/a")?.failed_but_not(&[]);
    stage.attempts("/a", &[Some(0)])?;
    sent.map(drop)
}

fn too_long(stage: &mut Stage<'_>) -> Played {
    stage.auth.script([with("padding", json!("x".repeat(2 * 1024 * 1024)))]);
    not_served(stage)
}

fn old_token_dies(stage: &mut Stage<'_>) -> Played {
    stage.forgive();
    stage.auth.change(|policy| policy.old_access_token = OldAccessToken::Dies);
    let client = stage.client()?;
    // Held before it is judged: the token dies on the way.
    let on_the_way = crate::server::Gate::new();
    stage.api.script([Step::new().on("/slow").hold_before(&on_the_way)]);
    let slow = client.get("/slow")?;
    stage.arrives(&on_the_way, 1, "the slow request")?;
    stage.api.change(|policy| policy.refuse = crate::server::Refuse::Next(1));
    client.get("/fast")?.answered(200)?;
    on_the_way.open();
    slow.answered(200)?;
    stage.token_requests(1)
}

fn opaque(stage: &mut Stage<'_>) -> Played {
    // {"alg":"none"} . {"exp":1}
    let access_token = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.".to_owned();
    stage.api.script([Step::new().answer(Response::new(200))]);
    let client = stage.start(&stage.settings())?;
    let tokens = Issued { access_token: access_token.clone(), ..stage.tokens.clone() };
    client.sign_in_for(&tokens, Some(3600))?;
    client.send(Request::get(stage.api.url("/a")))?.answered(200)?;
    let log = stage.api.log();
    let carried = log.first().and_then(|seen| seen.headers.get("authorization"));
    check(carried == Some(&format!("Bearer {access_token}")), || "that token is not used".to_owned())?;
    stage.token_requests(0)
}

fn known_end(stage: &mut Stage<'_>) -> Played {
    stage.expire();
    let client = stage.start(&stage.settings())?;
    client.sign_in_for(&stage.tokens, Some(0))?;
    let verdicts = stage.hold_verdicts("/a", 10);
    let herd = (0..10).map(|_| client.get("/a")).collect::<Result<Vec<_>, _>>()?;
    stage.arrives(&verdicts, 10, "ten requests")?;
    verdicts.open();
    for request in herd {
        request.answered(200)?;
    }
    let refused = stage.api.answered(401);
    check(refused == 0, || format!("{refused} requests were sent with a token that was known to be over"))?;
    stage.attempts("/a", &[Some(1); 10])?;
    check(stage.auth.presentations(&stage.tokens.refresh_token) == 1, || {
        "the refresh token was presented more than once".to_owned()
    })
}
