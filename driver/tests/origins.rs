//! Where tokens may go.
#![allow(clippy::unwrap_used)]

use http::Uri;
use token_refresh_driver::{AllowedOrigins, Endpoint, EndpointError, OriginError};

fn permits(origins: &AllowedOrigins, target: &str) -> bool {
    // What cannot be read as a URI cannot be requested either.
    target.parse::<Uri>().is_ok_and(|target| origins.permits(&target))
}

fn check(origins: &AllowedOrigins, permitted: &[&str], refused: &[&str]) {
    for target in permitted {
        assert!(permits(origins, target), "{target}");
    }
    for target in refused {
        assert!(!permits(origins, target), "{target}");
    }
}

#[test]
fn sec_02_an_empty_list_permits_nothing() {
    check(&AllowedOrigins::none(), &[], &["https://api.example.com/", "http://127.0.0.1/", "/path", "*"]);
}

#[test]
fn sec_02_scheme_host_and_port_are_compared_after_normalisation() {
    let origins = AllowedOrigins::none().https("https://API.example.com").unwrap();
    check(
        &origins,
        &[
            "https://api.example.com",
            "https://api.example.com/",
            "https://API.EXAMPLE.COM:443/v1?x=https://evil.example",
            "HTTPS://api.example.com/",
            "https://api.example.com:0443/",
        ],
        &[
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com:444/",
            "https://example.com/",
            "https://a.api.example.com/",
            "https://evil-api.example.com/",
            "https://api.example.com.evil/",
            "https://api.example.com./",
            "wss://api.example.com/",
            "//api.example.com/",
            "api.example.com:443",
            "/v1",
        ],
    );
}

#[test]
fn sec_02_userinfo_and_odd_spellings_are_refused() {
    let origins = AllowedOrigins::none().https("https://api.example.com").unwrap();
    check(
        &origins,
        &[],
        &[
            "https://api.example.com@evil.example/",
            "https://api.example.com:443@evil.example/",
            "https://user@api.example.com/",
            "https://user:password@api.example.com/",
            "https://@api.example.com/",
            "https://evil.example\\@api.example.com/",
            "https://evil.example#@api.example.com/",
            "https://evil.example/https://api.example.com/",
            "https://api%2eexample.com/",
            "https://api.example.com:99999/",
            "https://api.example.com:+443/",
            "https://api.example.com:443:443/",
            "https://api.example.com%00.evil.example/",
        ],
    );
}

#[test]
fn sec_02_a_wildcard_stands_for_one_whole_label() {
    let origins = AllowedOrigins::none().https("https://*.example.com:8443").unwrap();
    check(
        &origins,
        &["https://a.example.com:8443/", "https://A-B.Example.Com:8443/"],
        &[
            "https://example.com:8443/",
            "https://.example.com:8443/",
            "https://a.b.example.com:8443/",
            "https://aexample.com:8443/",
            "https://a.example.com/",
            "https://a.example.com.evil:8443/",
        ],
    );
    let error = |pattern: &str| AllowedOrigins::none().https(pattern).unwrap_err();
    for pattern in
        ["https://*", "https://*.com", "https://a.*.com", "https://a*.example.com", "https://*.*.com"]
    {
        assert_eq!(error(pattern), OriginError::Wildcard, "{pattern}");
    }
}

#[test]
fn sec_01_plain_http_is_for_loopback_addresses_by_explicit_opt_in() {
    let origins = AllowedOrigins::none()
        .loopback_http("http://127.0.0.1:8080")
        .and_then(|origins| origins.loopback_http("http://[::1]"))
        .unwrap();
    check(
        &origins,
        &["http://127.0.0.1:8080/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]:80/"],
        &[
            "http://127.0.0.1/",
            "https://127.0.0.1:8080/",
            "http://127.0.0.2:8080/",
            "http://127.1:8080/",
            "http://localhost:8080/",
            "http://[::ffff:127.0.0.1]/",
        ],
    );
    for origin in [
        "http://localhost",
        "http://api.example.com",
        "http://10.0.0.1",
        "https://127.0.0.1",
        "http://0.0.0.0",
    ] {
        let error = AllowedOrigins::none().loopback_http(origin).unwrap_err();
        assert_eq!(error, OriginError::NotLoopback, "{origin}");
    }
    assert_eq!(AllowedOrigins::none().https("http://127.0.0.1").unwrap_err(), OriginError::NotHttps);
}

#[test]
fn an_origin_is_scheme_host_and_port_and_nothing_else() {
    for text in [
        "",
        "api.example.com",
        "/",
        "https://",
        "https://api.example.com/v1",
        "https://api.example.com?x",
        "https://api.example.com#x",
        "https://user@api.example.com",
        "ftp://api.example.com",
        "https://api.exämple.com",
    ] {
        assert_eq!(AllowedOrigins::none().https(text).unwrap_err(), OriginError::NotAnOrigin, "{text}");
    }
}

#[test]
fn xreq_05_an_endpoint_is_https_or_loopback_by_explicit_opt_in() {
    let endpoint = Endpoint::https("https://auth.example.com/token?tenant=7").unwrap();
    assert_eq!(endpoint.uri(), "https://auth.example.com/token?tenant=7");
    assert!(Endpoint::https_or_loopback("https://auth.example.com/token").is_ok());
    assert!(Endpoint::https_or_loopback("http://127.0.0.1:8080/token").is_ok());
    assert!(Endpoint::https_or_loopback("http://[::1]:8080/token").is_ok());

    let https = |text: &str| Endpoint::https(text).unwrap_err();
    assert_eq!(https("http://auth.example.com/token"), EndpointError::NotHttps);
    assert_eq!(https("http://127.0.0.1:8080/token"), EndpointError::NotHttps);
    assert_eq!(https("https://auth.example.com/token#x"), EndpointError::Fragment);
    assert_eq!(https("https://user:password@auth.example.com/token"), EndpointError::UserInfo);
    for text in ["", "/token", "auth.example.com", "ftp://auth.example.com/", "https:///token"] {
        assert_eq!(https(text), EndpointError::NotAbsolute, "{text}");
    }
    for text in ["http://auth.example.com/token", "http://localhost/token", "http://10.0.0.1/token"] {
        assert_eq!(Endpoint::https_or_loopback(text).unwrap_err(), EndpointError::NotLoopback, "{text}");
    }
}
