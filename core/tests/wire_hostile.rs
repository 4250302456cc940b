//! Bad input, a row for each kind: what a token endpoint or a resource server may send by mistake or on purpose, and the
//! class that it has (SEC-06, AUTH-03, XRSP-01, XRSP-09, XRSP-10, CHAL-01).
#![cfg(feature = "wire")]
#![allow(clippy::too_many_lines, clippy::type_complexity, reason = "a table is as long as it is")]

use std::time::Duration;

use token_refresh_core::{
    ExchangeError::{self, Misconfigured, Permanent, Transient, Unexplained},
    Timestamp,
    wire::{ClientAuth, MAX_BODY, OAuthClient, Reply, Strictness, Verdict, challenges},
};

const LATER: ExchangeError = Transient { retry_after: None };
const LOST: Result<(), ExchangeError> = Err(ExchangeError::Ambiguous { retry_after: None });
const GRANT: &str = r#""access_token":"at2","token_type":"Bearer""#;

type Headers<'a> = &'a [(&'a str, &'a [u8])];

fn class(status: u16, headers: Headers<'_>, body: &[u8]) -> Result<(), ExchangeError> {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    client.read(&Reply { status, headers, body }, Timestamp::from_millis(784_111_777_000)).map(drop)
}

/// A good answer with these members besides, or instead.
fn with(members: &str) -> Vec<u8> {
    format!("{{{GRANT},{members}}}").into_bytes()
}

fn token(json: &str) -> Vec<u8> {
    format!(r#"{{"access_token":{json},"token_type":"Bearer"}}"#).into_bytes()
}

fn token_type(json: &str) -> Vec<u8> {
    format!(r#"{{"access_token":"at2","token_type":{json}}}"#).into_bytes()
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn good() -> Vec<u8> {
    format!("{{{GRANT}}}").into_bytes()
}

fn padded(size: usize) -> Vec<u8> {
    let mut body = good();
    body.resize(size, b' ');
    body
}

fn members(number: usize) -> Vec<u8> {
    with(&(0..number).map(|n| format!(r#""m{n}":0"#)).collect::<Vec<_>>().join(","))
}

fn utf16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

/// What a 200 with this content is. `Ok` is a grant.
#[test]
fn xrsp_09_hostile_content_of_a_success() {
    let table: Vec<(&str, Vec<u8>, Result<(), ExchangeError>)> = vec![
        // Not JSON.
        ("nothing", vec![], LOST),
        ("blanks", text(" \r\n\t "), LOST),
        ("HTML", text("<!DOCTYPE html><title>Sign in to the network</title>"), LOST),
        ("XML", text("<?xml version=\"1.0\"?><access_token>at2</access_token>"), LOST),
        ("a form", text("access_token=at2&token_type=bearer"), LOST),
        ("a script", text(r#"callback({"access_token":"at2","token_type":"Bearer"})"#), LOST),
        ("a guard against scripts", [text(")]}'\n"), good()].concat(), LOST),
        ("a comment", [text("/* */"), good()].concat(), LOST),
        ("single quotes", text("{'access_token':'at2','token_type':'Bearer'}"), LOST),
        ("a comma too many", text(&format!("{{{GRANT},}}")), LOST),
        ("NaN", with(r#""x":NaN"#), LOST),
        ("a number that is none", with(r#""x":01"#), LOST),
        ("compressed", vec![0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3], LOST),
        ("zero bytes", vec![0; 4096], LOST),
        // Cut short, or too much.
        ("cut in a string", text(r#"{"access_token":"at"#), LOST),
        ("cut after a member", text(&format!("{{{GRANT}")), LOST),
        ("cut in an escape", text(r#"{"access_token":"at\u00"#), LOST),
        ("twice", [good(), good()].concat(), LOST),
        ("garbage behind it", [good(), text("<hr>")].concat(), LOST),
        ("a zero byte behind it", [good(), vec![0]].concat(), LOST),
        ("as long as allowed", padded(MAX_BODY), Ok(())),
        ("one byte too long", padded(MAX_BODY + 1), LOST),
        // Another JSON value.
        ("null", text("null"), LOST),
        ("true", text("true"), LOST),
        ("a string", text(r#""at2""#), LOST),
        ("a number", text("1"), LOST),
        ("a list", [text("["), good(), text("]")].concat(), LOST),
        ("an object without members", text("{}"), LOST),
        ("the grant one level down", [text(r#"{"data":"#), good(), text("}")].concat(), LOST),
        // Encodings.
        ("byte order mark", [text("\u{feff}"), good()].concat(), Ok(())),
        ("UTF-16", utf16(r#"{"access_token":"at2","token_type":"Bearer"}"#), LOST),
        (
            "Latin-1",
            [text(r#"{"x":"caf"#), vec![0xe9], text(r#"","access_token":"a","token_type":"Bearer"}"#)]
                .concat(),
            LOST,
        ),
        (
            "a long form of UTF-8",
            [text(r#"{"x":""#), vec![0xc0, 0x80], text(r#"","access_token":"a","token_type":"Bearer"}"#)]
                .concat(),
            LOST,
        ),
        ("half a surrogate in the token", token(r#""at\ud800""#), LOST),
        ("half a surrogate elsewhere", with(r#""x":"\ud800""#), Ok(())),
        ("an escaped name", text(r#"{"acc\u0065ss_token":"at2","token_type":"Bearer"}"#), Ok(())),
        // Characters that could end a header field, or begin another one.
        ("a line break in the token", token(r#""at2\r\nX-Admin: 1""#), LOST),
        ("a line feed at its end", token(r#""at2\n""#), LOST),
        ("a zero byte in the token", token(r#""at\u00002""#), LOST),
        ("a tab in the token", token(r#""at\t2""#), LOST),
        ("a blank in the token", token(r#""at2 Bearer""#), LOST),
        ("DEL in the token", token(r#""at\u007f""#), LOST),
        ("a control character of 8 bits", token(r#""at\u0085X: 1""#), LOST),
        ("a line separator", token(r#""at\u2028""#), LOST),
        ("letters outside ASCII", token("\"caf\u{e9}\""), LOST),
        ("a bare line feed in a string", token("\"at\n2\""), LOST),
        ("a line break in the refresh token", with(r#""refresh_token":"rt\r\n2""#), LOST),
        ("a tab in the refresh token", with(r#""refresh_token":"rt\t2""#), LOST),
        ("a line break in the type", token_type(r#""Bearer\r\nX: 1""#), LOST),
        // The wrong types.
        ("no token", text(r#"{"token_type":"Bearer"}"#), LOST),
        ("an empty token", token(r#""""#), LOST),
        ("a token that is null", token("null"), LOST),
        ("a token that is a number", token("42"), LOST),
        ("a token that is true", token("true"), LOST),
        ("a token that is a list", token(r#"["at2"]"#), LOST),
        ("a token that is an object", token(r#"{"value":"at2"}"#), LOST),
        ("a token of 64 KiB", token(&format!("\"{}\"", "x".repeat(64 * 1024))), Ok(())),
        ("a token of more", token(&format!("\"{}\"", "x".repeat(64 * 1024 + 1))), LOST),
        (
            "a refresh token of more",
            with(&format!("\"refresh_token\":\"{}\"", "x".repeat(64 * 1024 + 1))),
            LOST,
        ),
        ("a refresh token that is a number", with(r#""refresh_token":42"#), LOST),
        ("a refresh token that is null", with(r#""refresh_token":null"#), Ok(())),
        ("an empty refresh token", with(r#""refresh_token":"""#), Ok(())),
        ("no type", text(r#"{"access_token":"at2"}"#), LOST),
        ("a type that is not understood", token_type(r#""mac""#), LOST),
        ("a type that no server has", token_type(r#""Cookie""#), LOST),
        ("a type that is a list", token_type(r#"["Bearer"]"#), LOST),
        ("a type with a blank", token_type(r#""Bearer ""#), LOST),
        ("names in another case", text(r#"{"Access_Token":"at2","Token_Type":"Bearer"}"#), LOST),
        ("a name with a zero byte", text(r#"{"access_token\u0000":"at2","token_type":"Bearer"}"#), LOST),
        // Twice.
        ("two tokens", with(r#""access_token":"at3""#), LOST),
        ("two tokens, one name escaped", with(r#""acc\u0065ss_token":"at3""#), LOST),
        ("two refresh tokens", with(r#""refresh_token":"a","refresh_token":"b""#), LOST),
        ("two types", with(r#""token_type":"Bearer""#), LOST),
        ("two lifetimes", with(r#""expires_in":1,"expires_in":2"#), Ok(())),
        ("two of what is not looked at", with(r#""x":1,"x":2"#), Ok(())),
        // Sizes and depths.
        ("a lifetime with 1000 digits", with(&format!("\"expires_in\":{}", "9".repeat(1000))), Ok(())),
        ("a lifetime out of all bounds", with(r#""expires_in":1e999"#), Ok(())),
        ("a lifetime below zero", with(r#""expires_in":-1e999"#), Ok(())),
        ("a lifetime that is an object", with(r#""expires_in":{"$gt":0}"#), Ok(())),
        ("a thousand members", members(1000), Ok(())),
        ("two thousand members", members(2000), LOST),
        ("a name of 100 KiB", with(&format!("\"{}\":1", "n".repeat(100 * 1024))), Ok(())),
        ("half a mebibyte besides", with(&format!("\"x\":\"{}\"", "x".repeat(512 * 1024))), Ok(())),
        ("brackets, as deep as it goes", vec![b'['; MAX_BODY], LOST),
        ("objects, as deep as it goes", text(&r#"{"a":"#.repeat(100_000)), LOST),
        (
            "100,000 levels where nobody looks",
            with(&format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000))),
            Ok(()),
        ),
        ("a scope with a line break", with(r#""scope":"a\r\nb""#), Ok(())),
        ("a scope that is a number", with(r#""scope":7"#), Ok(())),
        ("what scripts trip over", with(r#""__proto__":{"access_token":"at3"}"#), Ok(())),
    ];
    assert!(table.len() >= 60, "{}", table.len());
    for (what, body, expected) in table {
        assert_eq!(class(200, &[], &body), expected, "{what}");
    }
}

/// Whatever the status and the fields, a failure has a class, and no mischief condemns the refresh token.
#[test]
fn xrsp_10_hostile_failures() {
    const REFUSAL: &[u8] = br#"{"error":"invalid_grant"}"#;
    let long = vec![b'9'; 1024 * 1024];
    let table: &[(&str, u16, Headers<'_>, &[u8], Result<(), ExchangeError>)] = &[
        ("a grant under no status", 0, &[], br#"{"access_token":"a","token_type":"Bearer"}"#, LOST),
        ("a grant under an interim status", 199, &[], br#"{"access_token":"a","token_type":"Bearer"}"#, LOST),
        ("a grant under 999", 999, &[], br#"{"access_token":"a","token_type":"Bearer"}"#, LOST),
        ("a grant under 302", 302, &[], br#"{"access_token":"a","token_type":"Bearer"}"#, Err(Misconfigured)),
        ("a grant under 400", 400, &[], br#"{"access_token":"a","token_type":"Bearer"}"#, Err(Unexplained)),
        ("a refusal, cut short", 400, &[], br#"{"error":"invalid_grant""#, Err(Unexplained)),
        ("a refusal in a list", 400, &[], br#"[{"error":"invalid_grant"}]"#, Err(Unexplained)),
        ("a refusal in a page", 400, &[], br#"<p>{"error":"invalid_grant"}"#, Err(Unexplained)),
        ("a refusal with a line break", 400, &[], br#"{"error":"invalid_grant\r\n"}"#, Err(Unexplained)),
        ("a refusal with a zero byte", 400, &[], br#"{"error":"invalid_grant\u0000"}"#, Err(Unexplained)),
        ("two codes", 400, &[], br#"{"error":"invalid_grant","error":"x"}"#, Err(Unexplained)),
        (
            "a code in other letters",
            400,
            &[],
            "{\"error\":\"inv\u{430}lid_grant\"}".as_bytes(),
            Err(Unexplained),
        ),
        ("a code that is an object", 400, &[], br#"{"error":{"code":"invalid_grant"}}"#, Err(Unexplained)),
        ("a code of 1 MiB", 400, &[], &long, Err(Unexplained)),
        ("a refusal that says HTML", 400, &[("content-type", b"text/html")], REFUSAL, Err(Permanent)),
        (
            "a pause with 1 MiB of digits",
            429,
            &[("retry-after", &long)],
            b"",
            Err(Transient { retry_after: Some(Duration::from_secs(u64::MAX)) }),
        ),
        ("a pause below zero", 429, &[("retry-after", b"-1")], b"", Err(LATER)),
        ("a pause that is not text", 429, &[("retry-after", b"\xff\xfe")], b"", Err(LATER)),
        ("a pause with an exponent", 429, &[("retry-after", b"1e9")], b"", Err(LATER)),
        ("a pause in full-width digits", 429, &[("retry-after", "\u{ff17}".as_bytes())], b"", Err(LATER)),
        ("a date that is none", 429, &[("retry-after", b"Mon, 99 Foo 2026 99:99:99 GMT")], b"", Err(LATER)),
        ("a type of 1 MiB", 403, &[("content-type", &long)], b"", Err(Misconfigured)),
        ("a name of a field that is none", 403, &[("\r\n", b"text/html")], b"", Err(Misconfigured)),
    ];
    for (what, status, headers, body, expected) in table {
        assert_eq!(class(*status, headers, body), *expected, "{what}");
    }
    let many: Vec<(&str, &[u8])> = vec![("x", b"y"); 10_000];
    assert_eq!(class(429, &many, b""), Err(LATER), "10,000 fields");
}

/// What a 401 with these `WWW-Authenticate` fields says about the token.
#[test]
fn chal_01_hostile_challenges() {
    const SCOPE: Verdict<'_> = Verdict::InsufficientScope { scope: None };
    use Verdict::{NotRefused, Refused};

    let bytes = |text: &str| text.as_bytes().to_vec();
    let basics = |number: usize| bytes(&vec!["Basic realm=x"; number].join(", "));
    let table: Vec<(&str, Vec<Vec<u8>>, Verdict<'_>)> = vec![
        ("no field", vec![], Refused),
        ("an empty field", vec![vec![]], Refused),
        ("commas", vec![bytes(&",".repeat(10_000))], Refused),
        ("blanks", vec![bytes(&" ".repeat(10_000))], Refused),
        ("a scheme alone", vec![bytes("Bearer")], Refused),
        ("another scheme alone", vec![bytes("Negotiate")], NotRefused),
        ("a field of 1 MiB", vec![vec![b'x'; 1024 * 1024]], Refused),
        (
            "a long field before the true one",
            vec![vec![b'x'; 1024 * 1024], bytes("Bearer error=insufficient_scope")],
            Refused,
        ),
        (
            "the true one before a long field",
            vec![bytes("Bearer error=insufficient_scope"), vec![b'x'; 1024 * 1024]],
            SCOPE,
        ),
        ("10,000 fields", vec![bytes("Basic realm=x"); 10_000], NotRefused),
        ("within the bound", vec![basics(15), bytes("Bearer error=insufficient_scope")], SCOPE),
        ("beyond the bound", vec![basics(16), bytes("Bearer error=insufficient_scope")], NotRefused),
        (
            "16 parameters first",
            vec![bytes(&format!("Bearer {}, error=insufficient_scope", vec!["a=b"; 16].join(", ")))],
            Refused,
        ),
        ("no closing mark", vec![bytes("Bearer error=\"insufficient_scope")], Refused),
        ("a backslash at the end", vec![bytes("Bearer error=\"insufficient_scope\\")], Refused),
        ("escaped letters", vec![bytes("Bearer error=\"insufficient\\_scope\"")], SCOPE),
        ("no marks", vec![bytes("Bearer error=insufficient_scope")], SCOPE),
        ("in capitals", vec![bytes("BEARER ERROR=\"insufficient_scope\"")], SCOPE),
        ("a value in capitals", vec![bytes("Bearer error=\"INSUFFICIENT_SCOPE\"")], Refused),
        ("two errors", vec![bytes("Bearer error=\"insufficient_scope\", error=\"invalid_token\"")], SCOPE),
        (
            "two challenges",
            vec![bytes("Bearer error=\"insufficient_scope\", Bearer error=\"invalid_token\"")],
            SCOPE,
        ),
        (
            "hidden in another's text",
            vec![bytes("Basic realm=\"x, Bearer error=\\\"insufficient_scope\\\"\"")],
            NotRefused,
        ),
        ("of another scheme", vec![bytes("Basic error=\"invalid_token\"")], NotRefused),
        ("blanks around the sign", vec![bytes("Bearer error \t=\t \"insufficient_scope\"")], SCOPE),
        ("two signs", vec![bytes("Bearer error==insufficient_scope")], Refused),
        ("no comma between", vec![bytes("Bearer realm=\"x\" error=\"insufficient_scope\"")], SCOPE),
        ("a parameter before any scheme", vec![bytes("error=\"insufficient_scope\"")], Refused),
        ("a line break", vec![bytes("Bearer error=\"insufficient_scope\"\r\nX: 1")], SCOPE),
        ("a line break before it", vec![bytes("Bearer\r\n error=\"insufficient_scope\"")], Refused),
        ("a zero byte", vec![b"Bearer\0error=\"insufficient_scope\"".to_vec()], Refused),
        ("not UTF-8", vec![b"Bearer realm=\"\xff\xfe\", error=\"insufficient_scope\"".to_vec()], SCOPE),
        ("letters outside ASCII", vec![bytes("Bearer \u{e9}rror=\"insufficient_scope\"")], Refused),
        ("10,000 quotation marks", vec![bytes(&format!("Bearer {}", "\"".repeat(10_000)))], Refused),
        ("10,000 backslashes", vec![bytes(&format!("Bearer realm=\"{}", "\\".repeat(10_000)))], Refused),
        (
            "a name of 10,000 letters",
            vec![bytes(&format!("Bearer {}=1, error=insufficient_scope", "n".repeat(10_000)))],
            SCOPE,
        ),
    ];
    for (what, fields, expected) in table {
        let challenges = challenges(fields.iter().map(Vec::as_slice));
        assert_eq!(Verdict::of(401, &challenges, Strictness::Lenient), expected, "{what}");
        let strict = Verdict::of(401, &challenges, Strictness::Strict);
        assert_eq!(strict, if expected == Refused { NotRefused } else { expected }, "{what}, strict");
    }
}
