//! What a successful answer yields, and which answers are none (XRSP-01, XRSP-03 to XRSP-06, XRSP-09, AUTH-02, AUTH-03).
#![cfg(feature = "wire")]
#![allow(clippy::unwrap_used)]

use std::{fmt::Write as _, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use token_refresh_core::{
    ExchangeError, Grant, Secret, Timestamp, TokenType,
    wire::{ClientAuth, IdTokenSubject, JsonEndpoint, MAX_LIFETIME, OAuthClient, Reply},
};

fn reply(body: &[u8]) -> Reply<'_> {
    Reply { status: 200, headers: &[], body }
}

fn oauth(body: &str) -> Result<Grant, ExchangeError> {
    OAuthClient::new(ClientAuth::None { client_id: "app".into() })
        .read(&reply(body.as_bytes()), Timestamp::ZERO)
}

fn json(body: &str) -> Result<Grant, ExchangeError> {
    JsonEndpoint::new().read(&reply(body.as_bytes()), Timestamp::ZERO)
}

/// A good answer with these members too.
fn with(members: &str) -> String {
    format!(r#"{{"access_token":"at2","token_type":"Bearer",{members}}}"#)
}

#[test]
fn xrsp_01_a_whole_answer_is_read() {
    let body = r#" {"access_token":"at2","token_type":"bearer","expires_in":3600,"refresh_token":"rt2",
        "scope":"read write","id_token":"ey.J.x","nested":{"deep":[1, {"er":null}]},"n":1e400} "#;
    let expected = Grant::new("at2")
        .and_then(|grant| grant.with_refresh_token("rt2"))
        .unwrap()
        .with_lifetime(Duration::from_secs(3600))
        .with_scope("read write")
        .with_extra("id_token", r#""ey.J.x""#)
        .with_extra("nested", r#"{"deep":[1, {"er":null}]}"#)
        .with_extra("n", "1e400");
    assert_eq!(oauth(body), Ok(expected.clone()));
    assert_eq!(json(body), Ok(expected));
}

#[test]
fn xrsp_01_any_2xx_will_do() {
    let body = with(r#""x":1"#);
    for status in [200, 201, 202, 203, 299] {
        let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
        let answer = Reply { status, headers: &[], body: body.as_bytes() };
        assert!(client.read(&answer, Timestamp::ZERO).is_ok(), "{status}");
    }
}

#[test]
fn xrsp_03_a_refresh_token_is_new_the_same_or_absent() {
    let table = [
        (r#""refresh_token":"rt2""#, Some("rt2")),
        (r#""refresh_token":"rt1""#, Some("rt1")),
        (r#""refresh_token":"a+b/c==""#, Some("a+b/c==")),
        (r#""refresh_token":"\u0072t2""#, Some("rt2")),
        (r#""refresh_token":"""#, None),
        (r#""refresh_token":null"#, None),
        (r#""refreshToken":"rt2""#, None),
    ];
    for (member, expected) in table {
        let grant = oauth(&with(member)).unwrap();
        assert_eq!(grant.refresh_token().map(Secret::expose), expected, "{member}");
    }
}

#[test]
fn xrsp_05_lifetimes_are_read_tolerantly() {
    let table = [
        ("3600", Some(3600)),
        (r#""3600""#, Some(3600)),
        ("3600.9", Some(3600)),
        ("0", Some(0)),
        ("-1", Some(0)),
        ("1e18", Some(MAX_LIFETIME.as_secs())),
        ("1e9999", Some(MAX_LIFETIME.as_secs())),
        ("null", None),
        (r#""soon""#, None),
        ("true", None),
        ("[]", None),
        (r#"{"in":1}"#, None),
        // Two values are as good as none, and cost nothing: the lifetime is a hint.
        (r#"1,"expires_in":2"#, None),
    ];
    for (value, seconds) in table {
        let grant = oauth(&with(&format!(r#""expires_in":{value}"#))).unwrap();
        assert_eq!(grant.lifetime(), seconds.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn xrsp_06_scope_is_text_or_list_or_unknown() {
    let table = [
        (r#""scope":"a b""#, Some("a b")),
        (r#""scope":["a","b"]"#, Some("a b")),
        (r#""scope":"""#, None),
        (r#""scope":[]"#, None),
        (r#""scope":[1]"#, None),
        (r#""scope":null"#, None),
        (r#""scope":7"#, None),
    ];
    for (member, expected) in table {
        assert_eq!(oauth(&with(member)).unwrap().scope(), expected, "{member}");
    }
}

#[test]
fn auth_02_token_types() {
    for (name, expected) in
        [("Bearer", TokenType::Bearer), ("BEARER", TokenType::Bearer), ("dpop", TokenType::Dpop)]
    {
        let body = format!(r#"{{"access_token":"at2","token_type":"{name}"}}"#);
        assert_eq!(oauth(&body).unwrap().token_type(), expected, "{name}");
        assert_eq!(json(&body).unwrap().token_type(), expected, "{name}");
    }
    for member in [r#""token_type":"""#, r#""token_type":null"#, r#""x":1"#] {
        let body = format!(r#"{{"access_token":"at2",{member}}}"#);
        assert_eq!(oauth(&body), Err(ExchangeError::Ambiguous { retry_after: None }), "{member}");
        assert_eq!(json(&body).unwrap().token_type(), TokenType::Bearer, "{member}");
    }
}

#[test]
fn xrsp_09_what_cannot_be_used_may_have_cost_the_refresh_token() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut many = String::from(r#"{"access_token":"at2","token_type":"Bearer""#);
    for index in 0..2_000 {
        write!(many, r#","m{index}":0"#).unwrap();
    }
    many.push('}');
    let bodies = [
        // Cut short, or no JSON.
        "",
        " ",
        "{",
        r#"{"access_token":"at2","token_type":"Bea"#,
        r#"{"access_token":"at2","token_type":"Bearer""#,
        r#"{"access_token":"at2","token_type":"Bearer"}}"#,
        r#"{"access_token":"at2","token_type":"Bearer",}"#,
        "{'access_token':'at2','token_type':'Bearer'}",
        "<html>Welcome to the hotel</html>",
        "access_token=at2&token_type=bearer",
        // No object.
        "null",
        "[]",
        r#""at2""#,
        r#"[{"access_token":"at2","token_type":"Bearer"}]"#,
        &deep,
        &many,
        // No token.
        "{}",
        r#"{"token_type":"Bearer"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
        r#"{"access_token":null,"token_type":"Bearer"}"#,
        r#"{"access_token":42,"token_type":"Bearer"}"#,
        r#"{"access_token":{"value":"at2"},"token_type":"Bearer"}"#,
        r#"{"Access_Token":"at2","token_type":"Bearer"}"#,
        // A token that cannot stand in a field value (AUTH-03).
        r#"{"access_token":"a b","token_type":"Bearer"}"#,
        r#"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#,
        r#"{"access_token":"a\u0000","token_type":"Bearer"}"#,
        r#"{"access_token":"caf\u00e9","token_type":"Bearer"}"#,
        r#"{"access_token":"\ud800","token_type":"Bearer"}"#,
        // A type that is not understood (AUTH-02).
        r#"{"access_token":"at2","token_type":"mac"}"#,
        r#"{"access_token":"at2","token_type":"Bearer "}"#,
        r#"{"access_token":"at2","token_type":["Bearer"]}"#,
        // Two answers in one.
        r#"{"access_token":"at2","access_token":"at3","token_type":"Bearer"}"#,
        r#"{"access_token":"at2","access\u005ftoken":"at3","token_type":"Bearer"}"#,
        r#"{"access_token":"at2","token_type":"Bearer","refresh_token":"a","refresh_token":"b"}"#,
        // A refresh token that is none: keeping the old one would present a spent one.
        r#"{"access_token":"at2","token_type":"Bearer","refresh_token":"a\tb"}"#,
        r#"{"access_token":"at2","token_type":"Bearer","refresh_token":7}"#,
        r#"{"access_token":"at2","token_type":"Bearer","refresh_token":false}"#,
    ];
    for body in bodies {
        let shown = body.get(..80).unwrap_or(body);
        assert_eq!(oauth(body), Err(ExchangeError::Ambiguous { retry_after: None }), "{shown}");
        assert_eq!(json(body), Err(ExchangeError::Ambiguous { retry_after: None }), "{shown}");
    }
    let latin1 = reply(b"{\"access_token\":\"at2\",\"token_type\":\"Bearer\",\"name\":\"caf\xe9\"}");
    assert_eq!(
        JsonEndpoint::new().read(&latin1, Timestamp::ZERO),
        Err(ExchangeError::Ambiguous { retry_after: None })
    );
}

#[test]
fn xrsp_01_odd_members_that_nobody_needs_do_no_harm() {
    let deep = format!(r#""x":{}1{}"#, "[".repeat(100_000), "]".repeat(100_000));
    for members in
        [r#""x":1,"x":2"#, r#""":0"#, r#""x":"\ud800""#, r#""x":1e99999"#, r#""error_uri":"y""#, &deep]
    {
        assert!(oauth(&with(members)).is_ok(), "{}", members.get(..40).unwrap_or(members));
    }
}

#[test]
fn sec_06_extra_members_are_bounded_in_number_and_size() {
    let many: Vec<_> = (0..200).map(|index| format!(r#""m{index}":{index}"#)).collect();
    let grant = oauth(&with(&many.join(","))).unwrap();
    assert_eq!(grant.extra().count(), 32);

    let large = format!(r#""a":"{}","b":"{}","c":1"#, "x".repeat(60_000), "x".repeat(60_000));
    let grant = oauth(&with(&large)).unwrap();
    assert_eq!(grant.extra().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn json_endpoint_reads_where_it_is_told() {
    let endpoint = JsonEndpoint::new()
        .with_access_token_at("data.token")
        .with_refresh_token_at("data.session.refreshToken")
        .with_expires_in_at("ttl");
    let read = |body: &str| endpoint.read(&reply(body.as_bytes()), Timestamp::ZERO);

    let grant =
        read(r#"{"data":{"token":"at2","session":{"refreshToken":"rt2"}},"ttl":60,"user":7}"#).unwrap();
    assert_eq!(grant.access_token().expose(), "at2");
    assert_eq!(grant.refresh_token().map(Secret::expose), Some("rt2"));
    assert_eq!(grant.lifetime(), Some(Duration::from_secs(60)));
    assert_eq!(grant.extra().map(|(name, _)| name).collect::<Vec<_>>(), ["user"]);

    assert_eq!(read(r#"{"data":{"token":"at2"}}"#).unwrap().refresh_token(), None);
    assert_eq!(read(r#"{"data":{"token":"at2","session":null}}"#).unwrap().refresh_token(), None);
    for body in [
        r#"{"data":{}}"#,
        r#"{"data":null}"#,
        r#"{"data":"at2"}"#,
        r#"{"data.token":"at2"}"#,
        r#"{"data":{"token":"at2"},"data":{"token":"at3"}}"#,
        r#"{"data":{"token":"at2","token":"at3"}}"#,
        r#"{"data":{"token":"at2","session":"rt2"}}"#,
        r#"{"access_token":"at2"}"#,
    ] {
        assert_eq!(read(body), Err(ExchangeError::Ambiguous { retry_after: None }), "{body}");
    }
}

#[test]
fn sec_04_a_reply_shows_no_token() {
    let headers: &[(&str, &[u8])] = &[("set-cookie", b"rt=s3cret")];
    let shown = format!("{:?}", Reply { status: 200, headers, body: br#"{"access_token":"s3cret"}"# });
    assert_eq!(shown, "Reply { status: 200, .. }");
}

/// The signature is not looked at, and so it may be anything.
fn id_token(claims: &str) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", Base64UrlUnpadded::encode_string(claims.as_bytes()))
}

#[test]
fn xrsp_08_an_id_token_of_somebody_else_ends_the_session() {
    let subject = IdTokenSubject::new("https://issuer.example", "alice", "app");
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    let strict = client.clone().with_id_tokens_of(subject);
    let table = [
        (r#"{"iss":"https://issuer.example","sub":"alice","aud":"app","exp":1}"#, true),
        (r#"{"iss":"https://issuer.example","sub":"alice","aud":["other","app"]}"#, true),
        (r#"{"iss":"https://issuer.example","sub":"bob","aud":"app"}"#, false),
        (r#"{"iss":"https://issuer.example/","sub":"alice","aud":"app"}"#, false),
        (r#"{"iss":"https://issuer.example","sub":"alice","aud":["other"]}"#, false),
        (r#"{"iss":"https://issuer.example","sub":"alice","aud":"application"}"#, false),
        (r#"{"iss":"https://issuer.example","sub":"bob","sub":"alice","aud":"app"}"#, false),
        (r#"{"iss":"https://issuer.example","aud":"app"}"#, false),
        (r#"["alice"]"#, false),
    ];
    let answer =
        |id_token: &str| format!(r#"{{"access_token":"at","token_type":"Bearer","id_token":{id_token}}}"#);
    let read = |client: &OAuthClient, body: &str| {
        let reply = Reply { status: 200, headers: &[], body: body.as_bytes() };
        client.read(&reply, Timestamp::ZERO).map(drop)
    };
    for (claims, admitted) in table {
        let body = answer(&format!("\"{}\"", id_token(claims)));
        let expected = if admitted { Ok(()) } else { Err(ExchangeError::Permanent) };
        assert_eq!(read(&strict, &body), expected, "{claims}");
        assert_eq!(read(&client, &body), Ok(()), "nobody looks unless asked: {claims}");
    }
    for (unreadable, admitted) in [("17", false), (r#""a.b.c""#, false), (r#""""#, true), ("null", true)] {
        assert_eq!(read(&strict, &answer(unreadable)).is_ok(), admitted, "{unreadable}");
    }
    assert_eq!(
        read(&strict, r#"{"access_token":"at","token_type":"Bearer"}"#),
        Ok(()),
        "there need not be one"
    );
}

/// RFC 6749 A.17: a space is a character of a refresh token as any other; to refuse it would lose the token.
#[test]
fn xrsp_04_a_refresh_token_may_have_spaces() {
    let grant = oauth(r#"{"access_token":"at2","token_type":"Bearer","refresh_token":"a b"}"#).unwrap();
    assert_eq!(grant.refresh_token().map(Secret::expose), Some("a b"));
}
