//! `WWW-Authenticate` fields, and what they say about our token (CHAL-01 to CHAL-09, SEC-06).
#![cfg(feature = "wire")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use token_refresh_core::wire::{Challenge, Strictness, Verdict, challenges};

fn parse(fields: &[&str]) -> Vec<Challenge> {
    challenges(fields.iter().map(|field| field.as_bytes()))
}

/// `Scheme(name=value;…) …`, for comparing with a table.
fn show(found: &[Challenge], names: &[&str]) -> String {
    let one = |challenge: &Challenge| {
        let shown = names.iter().filter_map(|name| Some(format!("{name}={}", challenge.parameter(name)?)));
        format!("{}({})", challenge.scheme(), shown.collect::<Vec<_>>().join(";"))
    };
    found.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn chal_01_fields_are_lists() {
    let table: &[(&[&str], &str)] = &[
        // As the standards write them.
        (&["Bearer"], "Bearer()"),
        (&["Bearer error=invalid_token"], "Bearer(error=invalid_token)"),
        (&[r#"Bearer realm="r", error="invalid_token""#], "Bearer(realm=r;error=invalid_token)"),
        (&[r#"bearer ERROR="invalid_token""#], "bearer(error=invalid_token)"),
        (
            &[r#"Basic realm="x, error=\"invalid_token\"", Bearer error=invalid_token"#],
            r#"Basic(realm=x, error="invalid_token") Bearer(error=invalid_token)"#,
        ),
        (&["Basic realm=a, Bearer realm=b, error=e"], "Basic(realm=a) Bearer(realm=b;error=e)"),
        (&["Basic realm=a", "Bearer error=e"], "Basic(realm=a) Bearer(error=e)"),
        (&["Newauth, Bearer error=e"], "Newauth() Bearer(error=e)"),
        (&["Negotiate abc==, Bearer error=invalid_token"], "Negotiate() Bearer(error=invalid_token)"),
        (&["Negotiate a/b+c-._~"], "Negotiate()"),
        (&["Negotiate YWJj ,Bearer error=e"], "Negotiate() Bearer(error=e)"),
        (&["DPoP algs=\"ES256 PS256\", error=use_dpop_nonce"], "DPoP(error=use_dpop_nonce)"),
        (&[r#"Bearer realm="a\\b\"c\d""#], r#"Bearer(realm=a\b"cd)"#),
        (&[r#"Bearer realm="", error=e"#], "Bearer(error=e)"),
        (&[r#"Bearer unknown="x", error=e, other=y"#], "Bearer(error=e)"),
        (&["Bearer error=first, error=second"], "Bearer(error=first)"),
        // As servers write them.
        (&["Bearer  error=e"], "Bearer(error=e)"),
        (&["Bearer\terror=e"], "Bearer(error=e)"),
        (&["  Bearer error = \"e\"  "], "Bearer(error=e)"),
        (&[",,Bearer error=e,, ,realm=r,"], "Bearer(realm=r;error=e)"),
        (&["Bearer, error=e"], "Bearer(error=e)"),
        (&[r#"Bearer realm="r" error="e""#], "Bearer(realm=r;error=e)"),
        (&["Bearer authorization_uri=https://login.example/a?b=c, error=e"], "Bearer(error=e)"),
        (&["Bearer error=, realm=r"], "Bearer(realm=r)"),
        (&["Bearer realm=r, error=, scope=s"], "Bearer(realm=r;scope=s)"),
        (&["Bearer realm=My Realm, error=e"], "Bearer(realm=My) Realm(error=e)"),
        (&["Bearer error=invalid_token;x"], "Bearer(error=invalid_token;x)"),
        // What cannot be understood ends the field, not the answer.
        (&[], ""),
        (&[""], ""),
        (&[" , \t,"], ""),
        (&["error=invalid_token"], ""),
        (&["=", "Bearer error=e"], "Bearer(error=e)"),
        (&["\"Bearer error=invalid_token\""], ""),
        (&[r#"{"error":"invalid_token"}"#], ""),
        (&["Bearer: error=invalid_token"], "Bearer()"),
        (&["Bearer realm=\"never closed, error=invalid_token"], "Bearer()"),
        (&["Bearer realm=\"ends in a backslash\\"], "Bearer()"),
        (&["Bearer error=e, realm=\"open", "Basic realm=b"], "Bearer(error=e) Basic(realm=b)"),
        (&["Bearer realm=\"x, error=\"invalid_token\""], "Bearer(realm=x, error=) invalid_token()"),
        (&["Bearer error=e, (, realm=r"], "Bearer(error=e)"),
        (&["Basic realm=a", "error=invalid_token"], "Basic(realm=a)"),
        (&["caf\u{e9} error=invalid_token"], "caf()"),
        (&["Bearer realm=\"caf\u{e9}\", error=e"], "Bearer(realm=caf\u{e9};error=e)"),
    ];
    for (fields, expected) in table {
        assert_eq!(show(&parse(fields), &["realm", "error", "scope"]), *expected, "{fields:?}");
    }
    let found = challenges([b"Bearer realm=\"\xff\x00\", error=e".as_slice()]);
    assert_eq!(show(&found, &["error"]), "Bearer(error=e)");
}

#[test]
fn chal_05_accessors() {
    let found = parse(&[r#"Bearer error=e, scope="a b", realm=r, acr_values="gold silver", max_age="120""#]);
    assert_eq!(found.len(), 1);
    let challenge = found.first().unwrap();
    assert!(challenge.is("BEARER") && !challenge.is("Bear"));
    let texts = [challenge.error(), challenge.scope(), challenge.realm(), challenge.acr_values()];
    assert_eq!(texts, [Some("e"), Some("a b"), Some("r"), Some("gold silver")]);
    assert_eq!(challenge.max_age(), Some(Duration::from_secs(120)));
    for age in ["-1", "soon", "1.5", "99999999999999999999999"] {
        let found = parse(&[&format!("Bearer max_age={age}")]);
        assert_eq!(found.first().and_then(Challenge::max_age), None, "{age}");
    }
}

#[test]
fn sec_06_challenges_are_bounded() {
    let many = "A b=c, ".repeat(1000);
    assert_eq!(parse(&[&many]).len(), 16);

    let parameters: Vec<_> = (0..100).map(|index| format!("p{index}=v")).collect();
    let found = parse(&[&format!("Bearer {}, Basic realm=r", parameters.join(", "))]);
    assert_eq!(show(&found, &["p15", "p16", "realm"]), "Bearer(p15=v) Basic(realm=r)");

    let half = format!("Basic realm=\"{}\"", "x".repeat(8 * 1024));
    assert_eq!(parse(&[&half, &half, "Bearer"]).len(), 1, "16 KiB in all");

    let huge = format!("Bearer realm=\"{}\", error=invalid_token", "x".repeat(1 << 20));
    assert_eq!(parse(&["Basic realm=r", &huge, "Bearer error=e"]).len(), 1);
    for hostile in ["\\", "\"", ",", "=", " ", "a ", "a=", "a=\"", "\"\\"] {
        parse(&[&hostile.repeat(16 * 1024 / hostile.len())]);
    }
}

#[test]
fn chal_02_to_09_verdicts() {
    use Verdict::{DpopNonceNeeded, NotRefused, Refused};
    let scope = |scope| Verdict::InsufficientScope { scope };
    let login = Verdict::InsufficientUserAuthentication {
        acr_values: Some("gold"),
        max_age: Some(Duration::from_secs(5)),
    };
    let table: &[(&[u16], &str, Verdict<'_>, Verdict<'_>)] = &[
        // Status, field, lenient, strict.
        (&[400, 401, 403, 498], "Bearer error=invalid_token", Refused, Refused),
        (&[401, 403], "DPoP error=\"invalid_token\"", Refused, Refused),
        (&[401], "Negotiate, bearer error=invalid_token", Refused, Refused),
        (&[407, 200, 204, 302, 500, 503], "Bearer error=invalid_token", NotRefused, NotRefused),
        (&[401], "", Refused, NotRefused),
        (&[401], "Bearer", Refused, NotRefused),
        (&[401], "Bearer realm=api", Refused, NotRefused),
        (&[401], "Bearer error=token_expired", Refused, NotRefused),
        (&[401], "<garbage>", Refused, NotRefused),
        (&[401], "Basic realm=api", NotRefused, NotRefused),
        (&[401], "Basic realm=api, error=invalid_token", NotRefused, NotRefused),
        (&[401], "Basic realm=\"Bearer error=invalid_token\"", NotRefused, NotRefused),
        (&[400, 402, 403, 404, 407, 419, 440, 200, 500], "", NotRefused, NotRefused),
        (&[400, 403, 407], "Bearer realm=api", NotRefused, NotRefused),
        (&[400, 401, 403], "Bearer error=insufficient_scope", scope(None), scope(None)),
        (
            &[401, 403],
            "Bearer error=insufficient_scope, scope=\"a b\"",
            scope(Some("a b")),
            scope(Some("a b")),
        ),
        (
            &[401, 403],
            "Bearer error=insufficient_user_authentication, acr_values=gold, max_age=5",
            login,
            login,
        ),
        (&[400, 401], "DPoP error=use_dpop_nonce", DpopNonceNeeded, DpopNonceNeeded),
        (&[401], "DPoP error=invalid_dpop_proof", NotRefused, NotRefused),
        (&[400, 401], "Bearer error=invalid_request", NotRefused, NotRefused),
        // The first code that is known decides.
        (
            &[401],
            "Bearer error=x, DPoP error=insufficient_scope, Bearer error=invalid_token",
            scope(None),
            scope(None),
        ),
    ];
    for (statuses, field, lenient, strict) in table {
        let found = parse(if field.is_empty() { &[] } else { std::slice::from_ref(field) });
        for status in *statuses {
            assert_eq!(Verdict::of(*status, &found, Strictness::Lenient), *lenient, "{status} {field}");
            assert_eq!(Verdict::of(*status, &found, Strictness::Strict), *strict, "{status} {field}");
        }
    }
    assert_eq!(Strictness::default(), Strictness::Lenient);
}

/// A challenge, and the ways to write it.
#[derive(Clone, Debug)]
struct Written {
    scheme: String,
    token68: Option<String>,
    /// Name, value, quoted, blanks around the equals sign.
    parameters: Vec<(String, String, bool, String)>,
    gap: String,
    comma: String,
}

fn written() -> impl Strategy<Value = Written> {
    let parameter =
        ("[a-z][a-z_]{0,8}", any::<bool>(), "[ -~\u{e9}]{1,12}", "[a-zA-Z0-9._-]{1,12}", "[ \t]{0,2}")
            .prop_map(|(name, quoted, any, token, blanks)| {
                (name, if quoted { any } else { token }, quoted, blanks)
            });
    let credentials = prop_oneof![
        3 => prop::collection::vec(parameter, 0..6).prop_map(|parameters| (None, parameters)),
        1 => "[A-Za-z0-9._~+/-]{1,12}={0,2}".prop_map(|token68| (Some(token68), Vec::new())),
    ];
    ("[A-Z][A-Za-z0-9-]{0,8}", credentials, "[ \t]{1,3}", "[ ,\t]{0,3}").prop_map(
        |(scheme, (token68, parameters), gap, comma)| Written { scheme, token68, parameters, gap, comma },
    )
}

fn write(challenge: &Written) -> String {
    let Written { scheme, token68, parameters, gap, comma } = challenge;
    let separator = format!("{comma},");
    let parameters = parameters.iter().map(|(name, value, quoted, blanks)| {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let value = if *quoted { format!("\"{escaped}\"") } else { value.clone() };
        format!("{name}{blanks}={blanks}{value}")
    });
    let credentials: Vec<_> = token68.iter().cloned().chain(parameters).collect();
    if credentials.is_empty() {
        scheme.clone()
    } else {
        format!("{scheme}{gap}{}", credentials.join(&separator))
    }
}

proptest! {
    #[test]
    fn chal_01_well_formed_lists_are_read_whole(list in prop::collection::vec(written(), 0..6), split in any::<bool>()) {
        let fields: Vec<_> = list.iter().map(write).collect();
        let fields = if split { fields } else { vec![fields.join(" ,")] };
        let found = challenges(fields.iter().map(String::as_bytes));
        prop_assert_eq!(found.len(), list.len());
        for (challenge, written) in found.iter().zip(&list) {
            prop_assert!(challenge.is(&written.scheme));
            for (name, ..) in &written.parameters {
                let first = written.parameters.iter().find(|(known, ..)| known == name);
                let expected = first.map(|(_, value, ..)| value.as_str());
                prop_assert_eq!(challenge.parameter(&name.to_uppercase()), expected);
            }
        }
    }

    #[test]
    fn chal_01_any_bytes_yield_no_more_than_they_hold(fields in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "[aB=\",\\\\ \t/]{0,64}".prop_map(String::into_bytes),
            "(Bearer|Basic|error|invalid_token|[=\",\\\\ ]){0,24}".prop_map(String::into_bytes),
        ],
        0..4,
    )) {
        let found = challenges(fields.iter().map(Vec::as_slice));
        let bytes: usize = fields.iter().map(Vec::len).sum();
        prop_assert!(found.len() <= bytes);
        prop_assert!(found.iter().all(|challenge| !challenge.scheme().is_empty()));
        let texts = found.iter().flat_map(|challenge| [Some(challenge.scheme()), challenge.error()]).flatten();
        let characters: usize = texts.map(|text| text.chars().count()).sum();
        prop_assert!(characters <= bytes);
        for strictness in [Strictness::Lenient, Strictness::Strict] {
            prop_assert_eq!(Verdict::of(407, &found, strictness), Verdict::NotRefused);
            prop_assert_ne!(Verdict::of(200, &found, strictness), Verdict::Refused);
        }
    }
}
