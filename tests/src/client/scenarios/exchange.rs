//! How a token is asked for.

use super::super::{
    Scenario,
    protocol::{Ability, Cause, ClientAuth, Profile, Settings},
    stage::{Flaw, Played, Stage, check, error, path},
};
use crate::server::{self, Issued, Response, Step, TokenRequest};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "xreq-form",
        "The refresh grant is a form in which every parameter is encoded and stands once.",
        &["XREQ-01"],
        form,
    )
    .needs(&[Ability::Oauth]),
    Scenario::new(
        "xreq-query-of-endpoint",
        "The token endpoint keeps its own query, and no token is in it.",
        &["XREQ-01"],
        query,
    ),
    Scenario::new(
        "xreq-no-access-token",
        "The token request does not carry the access token.",
        &["XREQ-02"],
        no_access_token,
    ),
    Scenario::new(
        "xreq-basic",
        "Basic authentication encodes the secret as a form would.",
        &["XREQ-03", "XREQ-02"],
        |stage| authenticated(stage, ClientAuth::Basic),
    )
    .needs(&[Ability::Oauth, Ability::Basic]),
    Scenario::new(
        "xreq-post",
        "With authentication in the form there is no `Authorization` field.",
        &["XREQ-02"],
        |stage| authenticated(stage, ClientAuth::Post),
    )
    .needs(&[Ability::Oauth, Ability::Post]),
    Scenario::new(
        "xreq-no-probing",
        "A client that is refused does not try another way to authenticate with the same refresh token.",
        &["XREQ-02"],
        no_probing,
    ),
    Scenario::new(
        "xreq-no-scope",
        "No scope is asked for that nobody has configured.",
        &["XREQ-04"],
        no_scope,
    )
    .needs(&[Ability::Oauth]),
    Scenario::new("xreq-accept", "The token request says that it wants JSON.", &["XREQ-10"], accept),
    Scenario::new(
        "xreq-redirect-307",
        "A redirect of the token request is not followed: nothing of it reaches another server.",
        &["XREQ-06"],
        |stage| redirect(stage, 307),
    ),
    Scenario::new(
        "xreq-redirect-302",
        "Nor is one that would make a GET request of it.",
        &["XREQ-06"],
        |stage| redirect(stage, 302),
    ),
    Scenario::new(
        "cc-grant",
        "Client credentials are presented again when the token is refused.",
        &["CORE-02", "XREQ-01"],
        client_credentials,
    )
    .needs(&[Ability::ClientCredentials]),
    Scenario::new(
        "cook-refresh",
        "A refresh token in a cookie is sent as a cookie, and the one of the answer replaces it.",
        &["COOK-01", "XRSP-04"],
        cookie,
    )
    .needs(&[Ability::Cookie]),
    Scenario::new(
        "cook-refused",
        "The refusal of the cookie ends the session.",
        &["COOK-01"],
        cookie_refused,
    )
    .needs(&[Ability::Cookie]),
];

/// The only token request.
fn only(stage: &Stage<'_>) -> Result<(TokenRequest, server::Seen), Flaw> {
    stage.token_requests(1)?;
    let log = stage.auth.log();
    let found = log.iter().find_map(|seen| Some((TokenRequest::of(seen)?, seen.clone())));
    found.ok_or_else(|| Flaw::Fails("no token request could be read".to_owned()))
}

fn form(stage: &mut Stage<'_>) -> Played {
    stage.auth.change(|policy| policy.refresh_token_tail.push_str("+&%=/?"));
    stage.tokens = stage.auth.issue();
    stage.auth.expire(&stage.tokens.access_token);
    let client = stage.client()?;
    let answered = client.get("/a")?.answered(200);
    let Some(seen) = stage.auth.log().into_iter().next() else {
        return answered.map(drop);
    };
    check(seen.method == "POST", || format!("the token request is a {}", seen.method))?;
    let media_type = seen.headers.get("content-type").unwrap_or_default();
    check(media_type.starts_with("application/x-www-form-urlencoded"), || {
        format!("the token request is sent as `{media_type}`")
    })?;
    let (request, _) = only(stage)?;
    check(request.refresh_token.as_ref() == Some(&stage.tokens.refresh_token), || {
        "a refresh token with `+&%=/?` at its end does not arrive as it is".to_owned()
    })?;
    let empty = request.params.iter().find(|(_, value)| value.is_empty());
    check(empty.is_none(), || format!("a parameter is sent empty: {empty:?}"))?;
    answered.map(drop)
}

fn query(stage: &mut Stage<'_>) -> Played {
    let token_endpoint = format!("{}?tenant=1&x=%20", stage.settings().token_endpoint);
    stage.expire();
    let client = stage.start(&Settings { token_endpoint, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    client.get("/a")?.answered(200)?;
    let (_, seen) = only(stage)?;
    let expected = format!("{}?tenant=1&x=%20", path(stage.profile()));
    check(seen.target == expected, || "the query of the token endpoint is not what it was".to_owned())
}

fn no_access_token(stage: &mut Stage<'_>) -> Played {
    stage.client_with_dead_token()?.get("/a")?.outcome()?;
    let log = stage.auth.log();
    check(!log.is_empty(), || "there was no token request".to_owned())?;
    let carried = log.iter().any(|seen| seen.headers.iter().any(|(_, value)| value.contains("at-1-")));
    check(!carried, || "the token request carries the access token that was refused".to_owned())
}

fn authenticated(stage: &mut Stage<'_>, client_auth: ClientAuth) -> Played {
    let (id, secret) = ("my app".to_owned(), "a:b%c +d&ü".to_owned());
    let demand = match client_auth {
        ClientAuth::Post => server::ClientAuth::Post { id: id.clone(), secret: secret.clone() },
        ClientAuth::None | ClientAuth::Basic => {
            server::ClientAuth::Basic { id: id.clone(), secret: secret.clone() }
        }
    };
    stage.auth.change(|policy| policy.client = demand.clone());
    stage.expire();
    let (client_id, client_secret) = (id, Some(secret));
    let client = stage.start(&Settings { client_id, client_secret, client_auth, ..stage.settings() })?;
    client.sign_in(&stage.tokens)?;
    let answered = client.get("/a")?.answered(200);
    let (request, seen) = only(stage)?;
    check(request.client == demand, || "client id and secret do not arrive as they are".to_owned())?;
    let twice =
        client_auth == ClientAuth::Basic && request.params.iter().any(|(name, _)| name == "client_secret");
    let twice = twice || client_auth == ClientAuth::Post && seen.headers.get("authorization").is_some();
    check(!twice, || "the client authenticates in two ways".to_owned())?;
    answered.map(drop)
}

fn no_probing(stage: &mut Stage<'_>) -> Played {
    stage.auth.script((0..3).map(|_| Step::new().answer(error(401, "invalid_client"))));
    stage.client_with_dead_token()?.get("/a")?.failed_but_not(&[Cause::NeedsSignIn])?;
    stage.token_requests(1)
}

fn no_scope(stage: &mut Stage<'_>) -> Played {
    stage.client_with_dead_token()?.get("/a")?.answered(200)?;
    let (request, _) = only(stage)?;
    let scope = request.params.iter().find(|(name, _)| name == "scope");
    check(scope.is_none(), || format!("a scope is asked for: {scope:?}"))
}

fn accept(stage: &mut Stage<'_>) -> Played {
    stage.client_with_dead_token()?.get("/a")?.answered(200)?;
    let (_, seen) = only(stage)?;
    let accept = seen.headers.get("accept").unwrap_or_default().to_owned();
    check(accept.contains("application/json"), || format!("the token request says `Accept: {accept}`"))
}

fn redirect(stage: &mut Stage<'_>, status: u16) -> Played {
    let elsewhere = stage.elsewhere()?;
    let location = elsewhere.url(path(stage.profile()));
    stage.auth.script([Step::new().answer(Response::new(status).header("Location", &location))]);
    let sent = stage.client_with_dead_token()?.get("/a")?.failed_but_not(&[Cause::NeedsSignIn]);
    let reached = elsewhere.log().len();
    check(reached == 0, || format!("the token request was redirected by {status}, and followed"))?;
    sent?;
    stage.token_requests(1)
}

fn client_credentials(stage: &mut Stage<'_>) -> Played {
    let (profile, token_endpoint) = (Profile::ClientCredentials, stage.auth.url("/token"));
    let client = stage.start(&Settings { profile, token_endpoint, ..stage.settings() })?;
    client.get("/a")?.answered(200)?;
    let family = |seen: &server::Seen| seen.carried.map(|tag| tag.family);
    let first = stage.api.log().iter().find_map(family).and_then(|family| stage.auth.current(family));
    let first = first.ok_or_else(|| Flaw::Fails("the API saw no token".to_owned()))?;
    stage.auth.expire(&first.access_token);
    client.get("/b")?.answered(200)?;
    stage.token_requests(2)?;
    let grant_types: Vec<_> =
        stage.auth.token_requests().into_iter().flat_map(|request| request.params).collect();
    let wrong = grant_types.iter().any(|(name, value)| {
        name == "refresh_token" || name == "grant_type" && value != "client_credentials"
    });
    check(!wrong, || format!("not the client credentials grant: {grant_types:?}"))
}

fn cookies(stage: &Stage<'_>) -> Settings {
    let (profile, token_endpoint) = (Profile::Cookie, stage.auth.url("/cookie"));
    Settings { profile, token_endpoint, ..stage.settings() }
}

fn cookie(stage: &mut Stage<'_>) -> Played {
    let client = stage.start(&cookies(stage))?;
    client.sign_in(&stage.tokens)?;
    for target in ["/a", "/b"] {
        stage.expire();
        client.get(target)?.answered(200)?;
    }
    stage.token_requests(2)?;
    stage.presented_at_most(1)
}

fn cookie_refused(stage: &mut Stage<'_>) -> Played {
    stage.expire();
    let client = stage.start(&cookies(stage))?;
    client.sign_in(&Issued { refresh_token: "unknown".to_owned(), ..stage.tokens.clone() })?;
    client.get("/a")?.failed(&[Cause::NeedsSignIn])?;
    client.get("/b")?.failed(&[Cause::NeedsSignIn])?;
    stage.token_requests(1)
}
