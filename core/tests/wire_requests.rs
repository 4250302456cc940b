//! The requests, byte for byte (XREQ-01 to XREQ-04, XREQ-10, XREQ-12, COOK-01).
#![cfg(feature = "wire")]
#![allow(clippy::unwrap_used)]

use token_refresh_core::{
    Secret,
    wire::{ClientAuth, InvalidMember, JsonEndpoint, OAuthClient, Request, ReservedParameter},
};

fn public() -> OAuthClient {
    OAuthClient::new(ClientAuth::None { client_id: "app".into() })
}

fn credentials(id: &str, secret: &str) -> (String, Secret) {
    (id.to_owned(), Secret::from(secret))
}

fn basic(id: &str, secret: &str) -> OAuthClient {
    let (client_id, client_secret) = credentials(id, secret);
    OAuthClient::new(ClientAuth::Basic { client_id, client_secret })
}

fn headers(request: &Request) -> Vec<(&str, &str)> {
    request.headers().map(|(name, value)| (name, value.expose())).collect()
}

#[test]
fn xreq_01_10_the_refresh_grant_of_a_public_client() {
    let request = public().refresh(&"rt1".into());
    assert_eq!(request.body().expose(), "grant_type=refresh_token&refresh_token=rt1&client_id=app");
    let expected = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    assert_eq!(headers(&request), expected);
}

#[test]
fn xreq_01_every_character_survives() {
    let token = "a+b&c%d=e/f~g;h#i\"j";
    let (client_id, client_secret) = credentials("caf\u{e9}", "p\u{e4} ss:+&\u{1f511}");
    let request = OAuthClient::new(ClientAuth::Post { client_id, client_secret }).refresh(&token.into());
    let parsed: Vec<_> = form_urlencoded::parse(request.body().expose().as_bytes()).into_owned().collect();
    let expected = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "caf\u{e9}"),
        ("client_secret", "p\u{e4} ss:+&\u{1f511}"),
    ];
    assert_eq!(parsed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn xreq_01_each_parameter_once_and_none_empty() {
    let client = public()
        .with_scope("")
        .with_parameter("audience", "one")
        .and_then(|client| client.with_parameter("audience", "two"))
        .and_then(|client| client.with_parameter("empty", ""))
        .unwrap();
    let body = "grant_type=refresh_token&refresh_token=rt1&client_id=app&audience=two";
    assert_eq!(client.refresh(&"rt1".into()).body().expose(), body);

    for name in ["grant_type", "refresh_token", "client_id", "client_secret", "scope", "resource"] {
        assert_eq!(public().with_parameter(name, "x").err(), Some(ReservedParameter), "{name}");
    }
}

#[test]
fn xreq_02_one_method_of_client_authentication() {
    let request = basic("app", "s3cret").refresh(&"rt1".into());
    assert_eq!(request.body().expose(), "grant_type=refresh_token&refresh_token=rt1");
    assert_eq!(headers(&request).last(), Some(&("authorization", "Basic YXBwOnMzY3JldA==")));

    let (client_id, client_secret) = credentials("app", "s3cret");
    let request = OAuthClient::new(ClientAuth::Post { client_id, client_secret }).refresh(&"rt1".into());
    let body = "grant_type=refresh_token&refresh_token=rt1&client_id=app&client_secret=s3cret";
    assert_eq!(request.body().expose(), body);
    assert!(headers(&request).iter().all(|(name, _)| *name != "authorization"));
}

#[test]
fn xreq_03_basic_form_encodes_before_base64() {
    use base64ct::{Base64, Encoding as _};
    for (id, secret, expected) in [
        ("app", "a:b%c +d", "app:a%3Ab%25c+%2Bd"),
        ("a:b", "", "a%3Ab:"),
        ("caf\u{e9}", "\u{20ac}", "caf%C3%A9:%E2%82%AC"),
    ] {
        let request = basic(id, secret).refresh(&"rt1".into());
        let (_, value) = headers(&request).pop().unwrap();
        let decoded = Base64::decode_vec(value.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), expected);
    }
}

#[test]
fn xreq_04_12_scope_and_resources_only_on_request() {
    let client = public()
        .with_scope("read write")
        .with_resource("https://a.example/")
        .with_resource("https://b.example/");
    let body = "grant_type=refresh_token&refresh_token=rt1&client_id=app&scope=read+write\
                &resource=https%3A%2F%2Fa.example%2F&resource=https%3A%2F%2Fb.example%2F";
    assert_eq!(client.refresh(&"rt1".into()).body().expose(), body);
}

#[test]
fn the_other_requests_of_an_oauth_client() {
    let request = basic("app", "s3cret").with_scope("read").client_credentials();
    assert_eq!(request.body().expose(), "grant_type=client_credentials&scope=read");

    let client = public().with_scope("read").with_resource("https://a.example/");
    let body = "client_id=app&token=rt1&token_type_hint=refresh_token";
    assert_eq!(client.revocation(&"rt1".into()).body().expose(), body);
    assert_eq!(headers(&basic("app", "s3cret").revocation(&"rt1".into())).last().unwrap().0, "authorization");
}

#[test]
fn json_endpoint_sends_what_it_is_told() {
    let request = JsonEndpoint::new().request(Some(&"rt1".into()));
    assert_eq!(request.body().expose(), r#"{"refresh_token":"rt1"}"#);
    assert_eq!(headers(&request), [("content-type", "application/json"), ("accept", "application/json")]);

    let endpoint = JsonEndpoint::new()
        .with_request_member("to\"ken")
        .with_constant("expiresInMins", "30")
        .and_then(|endpoint| endpoint.with_constant("client", r#"{"id":"web"}"#))
        .unwrap();
    let body = r#"{"to\"ken":"a\"b\\c","client":{"id":"web"},"expiresInMins":30}"#;
    assert_eq!(endpoint.request(Some(&r#"a"b\c"#.into())).body().expose(), body);
}

#[test]
fn json_endpoint_names_each_member_once() {
    let endpoint = JsonEndpoint::new().with_constant("refresh_token", "0").unwrap();
    assert_eq!(endpoint.request(Some(&"rt1".into())).body().expose(), r#"{"refresh_token":"rt1"}"#);

    for value in ["web", "", "{", "1 2", r#""a","b":"c""#] {
        assert_eq!(JsonEndpoint::new().with_constant("x", value).err(), Some(InvalidMember), "{value}");
    }
}

#[test]
fn cook_01_without_a_refresh_token_only_the_constants_are_sent() {
    assert_eq!(JsonEndpoint::new().request(None).body().expose(), "{}");
    let endpoint =
        JsonEndpoint::new().with_constant("a", "1").and_then(|it| it.with_constant("b", "2")).unwrap();
    assert_eq!(endpoint.request(None).body().expose(), r#"{"a":1,"b":2}"#);
}

#[test]
fn sec_04_no_secret_is_shown() {
    let client = basic("app", "s3cret").with_parameter("device_secret", "s3cret").unwrap();
    let endpoint = JsonEndpoint::new().with_constant("key", r#""s3cret""#).unwrap();
    let shown = format!(
        "{client:?} {:?} {endpoint:?} {:?}",
        client.refresh(&"s3cret".into()),
        endpoint.request(Some(&"s3cret".into()))
    );
    for hidden in ["s3cret", "czNjcmV0"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
