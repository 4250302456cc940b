//! What an answer without a grant means: the table of error classes, row by row (XRSP-09 to XRSP-13, RETRY-05).
#![cfg(feature = "wire")]
#![allow(clippy::expect_used)]

use std::time::Duration;

use proptest::prelude::*;
use token_refresh_core::{
    ExchangeError::{
        self, Interaction, InvalidRequest, InvalidScope, Misconfigured, Permanent, Transient, Unexplained,
    },
    Secret, Timestamp,
    wire::{ClientAuth, JsonEndpoint, MAX_BODY, OAuthClient, Reply},
};

/// Who is asked.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// OAuth, client authenticated.
    Confidential,
    /// OAuth, client authenticated, with a scope in the request.
    Scoped,
    /// OAuth, public client.
    Public,
    /// One's own JSON endpoint.
    Json,
}
use Asked::{Confidential, Json, Public, Scoped};

const ALL: [Asked; 4] = [Confidential, Scoped, Public, Json];
const OAUTH: [Asked; 3] = [Confidential, Scoped, Public];
const LATER: ExchangeError = Transient { retry_after: None };
const LOST: ExchangeError = ExchangeError::Ambiguous { retry_after: None };
const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

fn read(asked: Asked, reply: &Reply<'_>) -> Result<(), ExchangeError> {
    let secret = || ("app".to_owned(), Secret::from("s3cret"));
    let (client_id, client_secret) = secret();
    let confidential = OAuthClient::new(ClientAuth::Basic { client_id, client_secret });
    match asked {
        Confidential => confidential.read(reply, NOW),
        Scoped => confidential.with_scope("read").read(reply, NOW),
        Public => OAuthClient::new(ClientAuth::None { client_id: secret().0 }).read(reply, NOW),
        Json => JsonEndpoint::new().read(reply, NOW),
    }
    .map(drop)
}

type Headers<'a> = &'a [(&'a str, &'a str)];

fn class(asked: Asked, status: u16, headers: Headers<'_>, body: &[u8]) -> ExchangeError {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    read(asked, &Reply { status, headers: &headers, body }).expect_err("no grant in this answer")
}

#[test]
fn xrsp_10_every_code_of_the_table() {
    let table: &[(&[Asked], u16, &str, ExchangeError)] = &[
        (&ALL, 400, r#"{"error":"invalid_grant"}"#, Permanent),
        (&ALL, 401, r#"{"error":"invalid_grant"}"#, Permanent),
        (&ALL, 403, r#"{"error":"invalid_grant"}"#, Permanent),
        (&ALL, 503, r#"{"error":"invalid_grant"}"#, Permanent),
        (&ALL, 200, r#"{"error":"invalid_grant"}"#, Permanent),
        (&ALL, 400, r#"{"error":"invalid_grant","suberror":"bad_token"}"#, Permanent),
        (&ALL, 400, r#"{"error":"invalid_grant","suberror":""}"#, Permanent),
        (&ALL, 400, r#"{"error":"invalid_grant","suberror":null}"#, Permanent),
        (&ALL, 400, r#"{"error":"invalid_grant","suberror":"consent_required"}"#, Interaction),
        (&ALL, 400, r#"{"error":"invalid_grant","suberror":"basic_action"}"#, Interaction),
        (&ALL, 200, r#"{"error":"bad_refresh_token"}"#, Permanent),
        (&ALL, 400, r#"{"error":"interaction_required"}"#, Interaction),
        (&ALL, 400, r#"{"error":"consent_required"}"#, Interaction),
        (&ALL, 400, r#"{"error":"login_required"}"#, Interaction),
        (&ALL, 403, r#"{"error":"access_denied"}"#, Interaction),
        (&ALL, 400, r#"{"error":"invalid_client"}"#, Misconfigured),
        (&ALL, 401, r#"{"error":"invalid_client"}"#, Misconfigured),
        (&ALL, 400, r#"{"error":"unauthorized_client"}"#, Misconfigured),
        (&ALL, 400, r#"{"error":"unsupported_grant_type"}"#, Misconfigured),
        (&ALL, 400, r#"{"error":"invalid_request"}"#, InvalidRequest),
        (&[Scoped], 400, r#"{"error":"invalid_scope"}"#, InvalidScope),
        (&[Confidential, Public, Json], 400, r#"{"error":"invalid_scope"}"#, Interaction),
        (&ALL, 400, r#"{"error":"invalid_target"}"#, Misconfigured),
        (&ALL, 400, r#"{"error":"invalid_dpop_proof"}"#, Misconfigured),
        (&ALL, 400, r#"{"error":"use_dpop_nonce"}"#, LATER),
        (&ALL, 400, r#"{"error":"temporarily_unavailable"}"#, LATER),
        (&ALL, 200, r#"{"error":"temporarily_unavailable"}"#, LATER),
        (&ALL, 503, r#"{"error":"temporarily_unavailable"}"#, LATER),
        (&ALL, 401, r#"{"error":"server_error"}"#, LATER),
        (&ALL, 500, r#"{"error":"server_error"}"#, LOST),
        (&ALL, 502, r#"{"error":"internal_failure"}"#, LOST),
        (&ALL, 504, r#"{"error":"temporarily_unavailable"}"#, LOST),
    ];
    for (asked, status, body, expected) in table {
        for asked in *asked {
            assert_eq!(class(*asked, *status, &[], body.as_bytes()), *expected, "{asked:?} {status} {body}");
        }
    }
}

#[test]
fn xrsp_11_12_13_every_status_of_the_table() {
    const HTML: &str = "<!DOCTYPE html><title>Blocked</title>";
    const DETAIL: &str = r#"{"detail":"no"}"#;
    let table: &[(&[Asked], &[u16], &str, ExchangeError)] = &[
        (&ALL, &[408, 425, 429, 511], "", LATER),
        (&ALL, &[500, 501, 502, 503, 504, 507, 520, 599], "", LOST),
        (&ALL, &[500, 502, 503, 504], HTML, LOST),
        (&ALL, &[200, 201, 204, 206], "", LOST),
        (&ALL, &[0, 100, 101, 199, 600, 999, u16::MAX], DETAIL, LOST),
        (&ALL, &[300, 301, 302, 303, 304, 307, 308, 404, 405, 410, 415], "", Misconfigured),
        (&ALL, &[302, 404], HTML, Misconfigured),
        (&ALL, &[400, 402, 406, 407, 409, 418, 422, 431, 451], "", Unexplained),
        (&ALL, &[400, 422], HTML, Unexplained),
        (&ALL, &[400, 422], DETAIL, Unexplained),
        (&[Confidential, Scoped], &[401], "", Misconfigured),
        (&[Confidential, Scoped], &[401], DETAIL, Misconfigured),
        (&[Confidential, Scoped], &[401], HTML, Misconfigured),
        (&[Public], &[401], "", Unexplained),
        (&[Public], &[401], DETAIL, Unexplained),
        (&[Json], &[401], "", Permanent),
        (&[Json], &[401], DETAIL, Permanent),
        (&[Json], &[401], HTML, LATER),
        (&ALL, &[403], HTML, LATER),
        (&OAUTH, &[403], DETAIL, Misconfigured),
        (&OAUTH, &[403], "", Misconfigured),
        (&[Json], &[403], DETAIL, Permanent),
        (&[Json], &[403], "", Unexplained),
        (&[Json], &[403], "Forbidden", Unexplained),
    ];
    for (asked, statuses, body, expected) in table {
        for (asked, status) in
            asked.iter().flat_map(|asked| statuses.iter().map(move |status| (asked, status)))
        {
            assert_eq!(class(*asked, *status, &[], body.as_bytes()), *expected, "{asked:?} {status} {body}");
        }
    }
}

#[test]
fn xrsp_10_what_is_not_a_known_code_leaves_it_to_the_status() {
    let bodies = [
        r#"{"error":"slow_down"}"#,
        r#"{"error":"INVALID_GRANT"}"#,
        r#"{"error":"invalid_grant "}"#,
        r#"{"error":"server_error, invalid_grant"}"#,
        r#"{"error":""}"#,
        r#"{"error":null}"#,
        r#"{"error":400}"#,
        r#"{"error":["invalid_grant"]}"#,
        r#"{"error":{"code":"invalid_grant","message":"invalid_grant"}}"#,
        r#"{"error_description":"invalid_grant"}"#,
        r#"{"error":"slow_down","error_description":"invalid_grant"}"#,
        r#"{"message":"Invalid refresh token","status":400}"#,
        r#"{"error":"invalid_grant","error":"invalid_client"}"#,
        r#"{"error":"invalid_client","error":"invalid_grant"}"#,
        r#"{"error":"invalid_grant""#,
        r#"{"error":"invalid_grant"} <hr>"#,
        r#"[{"error":"invalid_grant"}]"#,
        r#""invalid_grant""#,
        "error=invalid_grant",
        "invalid_grant",
    ];
    for body in bodies {
        for asked in ALL {
            assert_eq!(class(asked, 400, &[], body.as_bytes()), Unexplained, "{asked:?} {body}");
            assert_eq!(class(asked, 404, &[], body.as_bytes()), Misconfigured, "{asked:?} {body}");
        }
    }
    assert_eq!(class(Public, 400, &[], b"{\"error\":\"invalid_grant\xff\"}"), Unexplained, "not UTF-8");
    assert_eq!(
        class(Public, 400, &[], b"\xef\xbb\xbf{\"error\":\"invalid_grant\"}"),
        Permanent,
        "byte order mark"
    );
    assert_eq!(class(Public, 400, &[], br#"{"error":"inv\u0061lid_grant"}"#), Permanent, "escapes");
}

#[test]
fn xrsp_02_a_2xx_with_an_error_is_a_failure_even_with_a_token() {
    let table = [
        (r#"{"access_token":"a","token_type":"Bearer","error":"invalid_grant"}"#, Permanent),
        (r#"{"access_token":"a","token_type":"Bearer","error":"something"}"#, Unexplained),
        (r#"{"access_token":"a","token_type":"Bearer","error":"x","error":null}"#, LOST),
        (r#"{"error":"something"}"#, Unexplained),
    ];
    for (body, expected) in table {
        for asked in ALL {
            assert_eq!(class(asked, 200, &[], body.as_bytes()), expected, "{asked:?} {body}");
        }
    }
    for body in [
        r#"{"access_token":"a","token_type":"Bearer","error":null}"#,
        r#"{"access_token":"a","token_type":"Bearer","error":""}"#,
        r#"{"access_token":"a","token_type":"Bearer","error":false}"#,
    ] {
        assert_eq!(
            read(Public, &Reply { status: 200, headers: &[], body: body.as_bytes() }),
            Ok(()),
            "{body}"
        );
    }
}

#[test]
fn xrsp_10_a_page_is_recognised_by_its_type_or_its_first_character() {
    let table: &[(Headers<'_>, &str, ExchangeError)] = &[
        (&[("Content-Type", "text/html; charset=utf-8")], "Blocked", LATER),
        (&[("CONTENT-TYPE", "Text/HTML")], "", LATER),
        (&[("content-type", "application/xhtml+xml")], "", LATER),
        (&[], " \r\n\t<html>", LATER),
        (&[("content-type", "application/json")], "{}", Misconfigured),
        (&[("content-type", "text/html-not")], "", Misconfigured),
    ];
    for (headers, body, expected) in table {
        assert_eq!(class(Confidential, 403, headers, body.as_bytes()), *expected, "{headers:?} {body}");
    }
}

#[test]
fn xrsp_01_a_body_over_the_limit_is_not_looked_at() {
    let sized = |size: usize, json: &str| {
        let mut body = json.as_bytes().to_vec();
        body.resize(size, b' ');
        body
    };
    assert_eq!(class(Public, 400, &[], &sized(MAX_BODY, r#"{"error":"invalid_grant"}"#)), Permanent);
    assert_eq!(class(Public, 400, &[], &sized(MAX_BODY + 1, r#"{"error":"invalid_grant"}"#)), Unexplained);
    let token = r#"{"access_token":"a","token_type":"Bearer"}"#;
    assert_eq!(class(Public, 200, &[], &sized(MAX_BODY + 1, token)), LOST);
}

#[test]
fn retry_05_seconds_and_dates() {
    const DATE: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    const TWO_MINUTES_LATER: (&str, &str) = ("Retry-After", "Sun, 06 Nov 1994 08:51:37 GMT");
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let table: &[(Headers<'_>, Option<Duration>)] = &[
        (&[("Retry-After", "7")], seconds(7)),
        (&[("retry-after", " 120 ")], seconds(120)),
        (&[("Retry-After", "0")], seconds(0)),
        (&[("Retry-After", "31536000")], seconds(31_536_000)),
        (&[("Retry-After", "99999999999999999999999999")], seconds(u64::MAX)),
        (&[("Retry-After", "7"), ("Retry-After", "9")], seconds(7)),
        (&[TWO_MINUTES_LATER], seconds(120)),
        (&[TWO_MINUTES_LATER, DATE], seconds(120)),
        (&[TWO_MINUTES_LATER, ("Date", "Sun, 06 Nov 1994 08:51:36 GMT")], seconds(1)),
        (&[TWO_MINUTES_LATER, ("Date", "Sun, 06 Nov 1994 09:51:36 GMT")], seconds(0)),
        (&[TWO_MINUTES_LATER, ("Date", "yesterday")], seconds(120)),
        (&[("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], seconds(253_402_300_799 - 784_111_777)),
        (&[("Retry-After", "")], None),
        (&[("Retry-After", "-1")], None),
        (&[("Retry-After", "+1")], None),
        (&[("Retry-After", "1.5")], None),
        (&[("Retry-After", "soon")], None),
        (&[("Retry-After", "Sun, 31 Feb 1994 08:49:37 GMT")], None),
        (&[DATE], None),
    ];
    for (headers, retry_after) in table {
        let fields: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let reply = Reply { status: 503, headers: &fields, body: b"" };
        assert_eq!(reply.retry_after(NOW), *retry_after, "{headers:?}");
        let expected = Transient { retry_after: *retry_after };
        assert_eq!(class(Public, 429, headers, b""), expected, "{headers:?}");
        // With a time the 503 is deliberate; without one the request may have been carried out.
        let expected = if retry_after.is_some() { expected } else { LOST };
        assert_eq!(class(Public, 503, headers, b""), expected, "{headers:?}");
    }
    for month in "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(' ') {
        let [at, date] = ["15", "14"].map(|day| format!("Sun, {day} {month} 1995 08:49:37 GMT"));
        let expected = Transient { retry_after: seconds(24 * 3_600) };
        assert_eq!(class(Public, 429, &[("Retry-After", &at), ("Date", &date)], b""), expected, "{month}");
    }
    assert_eq!(class(Public, 400, &[("Retry-After", "7")], br#"{"error":"invalid_grant"}"#), Permanent);
    // Whatever the answer means otherwise, the wish is heard.
    for (status, body) in [(500, ""), (504, ""), (200, "<html>"), (502, r#"{"error":"server_error"}"#)] {
        let expected = ExchangeError::Ambiguous { retry_after: seconds(7) };
        assert_eq!(
            class(Public, status, &[("Retry-After", "7")], body.as_bytes()),
            expected,
            "{status} {body}"
        );
    }
    for (asked, status) in [(Public, 401), (Json, 403), (Public, 400), (Public, 422)] {
        let expected = Transient { retry_after: seconds(7) };
        assert_eq!(class(asked, status, &[("Retry-After", "7")], b""), expected, "{status}");
    }
}

#[test]
fn chal_10_a_rule_sees_the_answer_and_comes_first() {
    let endpoint = JsonEndpoint::new().with_rule(|reply| {
        match (reply.status(), reply.member("problem.code")?.as_str()) {
            (400, "1042") => Some(Permanent),
            (_, "busy") => Some(Transient { retry_after: reply.retry_after() }),
            _ => None,
        }
    });
    let read =
        |status, headers, body: &str| endpoint.read(&Reply { status, headers, body: body.as_bytes() }, NOW);
    let wait: &[(&str, &[u8])] = &[("retry-after", b"5")];
    let busy = Err(Transient { retry_after: Some(Duration::from_secs(5)) });

    assert_eq!(read(400, &[], r#"{"problem":{"code":1042}}"#), Err(Permanent));
    assert_eq!(read(409, &[], r#"{"problem":{"code":1042}}"#), Err(Unexplained));
    assert_eq!(read(401, wait, r#"{"problem":{"code":"busy"},"error":"invalid_grant"}"#), busy);
    assert_eq!(read(200, wait, r#"{"problem":{"code":"busy"}}"#), busy);
    assert_eq!(read(401, &[], r#"{"problem":{"code":null},"error":"invalid_client"}"#), Err(Misconfigured));
    assert_eq!(read(401, &[], r#"{"problem":"busy"}"#), Err(Permanent));
    assert!(
        read(200, &[], r#"{"access_token":"a","problem":{"code":"busy"}}"#).is_ok(),
        "a grant is a grant"
    );
}

proptest! {
    /// Whatever comes, there is a class, and the refresh token is condemned by a known code or by a 401 or 403 of
    /// one's own endpoint only.
    #[test]
    fn xrsp_10_permanent_needs_evidence(
        status in prop_oneof![any::<u16>(), 200_u16..=204, 400_u16..=429, 500_u16..=511],
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            r#"(\{|\}|"error"|"suberror"|"invalid_client"|"access_token"|[:,"\[\]0e<]){0,16}"#.prop_map(String::into_bytes),
        ],
        retry_after in "[0-9]{0,24}|[ -~]{0,40}|Sun, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT",
    ) {
        let headers: &[(&str, &[u8])] = &[("retry-after", retry_after.as_bytes()), ("date", retry_after.as_bytes())];
        for asked in ALL {
            let class = read(asked, &Reply { status, headers, body: &body });
            let refusal = matches!(asked, Json) && matches!(status, 401 | 403);
            prop_assert!(class != Err(Permanent) || refusal, "{:?}", asked);
            prop_assert!(class.is_err() || (200..300).contains(&status), "{:?}", asked);
        }
    }
}
