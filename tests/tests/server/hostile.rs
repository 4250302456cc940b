//! Whatever arrives: an answer or a closed connection, no panic, bounded memory, and a server that goes on.

use token_refresh_conformance::server::{AuthorizationServer, End, Policy, ResourcePolicy};

use crate::client::{Client, ask, exchange, post, servers};

#[test]
fn requests_that_cannot_be_read_are_refused() {
    let (_auth, api) = servers(ResourcePolicy::default());
    let head = "POST / HTTP/1.1\r\n";
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    let trailers = format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n", "X: y\r\n".repeat(20_000));
    for (request, expected) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        (long.trim_end().to_owned(), 431),
        (long, 431),
        (many, 431),
        (format!("{head}Content-Length: 99999999999999999999999\r\n\r\n"), 413),
        (format!("{head}Content-Length: 16777217\r\n\r\n"), 413),
        (format!("{head}Content-Length: -1\r\n\r\n"), 400),
        (format!("{head}Content-Length: +1\r\n\r\nx"), 400),
        (format!("{head}Content-Length:\r\n\r\n"), 400),
        (format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"), 400),
        (format!("{head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("{head}Transfer-Encoding: gzip, chunked\r\n\r\n"), 501),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nx\r\n"), 400),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"), 413),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n"), 400),
        (trailers, 431),
    ] {
        let mut client = Client::connect(api.addr());
        client.write(&request);
        client.end();
        let start: String = request.chars().take(80).collect();
        assert_eq!(client.read().map(|answer| answer.status), Some(expected), "{start:?}");
        assert!(client.is_closed_cleanly(), "{start:?}");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_is_noted() {
    let (auth, _api) = servers(ResourcePolicy::default());
    let token = auth.issue().refresh_token;
    let whole = crate::client::refresh(&token);
    for length in [1, 20, whole.len() - 1] {
        let mut client = Client::connect(auth.addr());
        client.write(&whole[..length]);
        client.end();
        assert!(client.is_closed(), "no answer to {length} bytes");
    }
    assert_eq!(auth.presentations(&token), 0);
    assert_eq!(auth.log().iter().map(|seen| seen.end).collect::<Vec<_>>(), [End::ClientGone]);
}

#[test]
fn nested_and_large_documents_do_no_harm() {
    let auth = AuthorizationServer::start(Policy::default()).expect("auth");
    let json = "Content-Type: application/json\r\n";
    for body in [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        format!("{{\"refresh_token\":\"{}\"}}", "x".repeat(1 << 20)),
    ] {
        assert_eq!(ask(auth.addr(), post("/refresh", json, &body)).map(|answer| answer.status), Some(400));
    }
    let deep = format!("{{\"refresh_token\":{}{}}}", "[".repeat(120), "]".repeat(120));
    assert_eq!(ask(auth.addr(), post("/refresh", json, &deep)).map(|answer| answer.status), Some(401));
}

/// Every prefix and every single changed byte of a good request: an answer or a closed connection, and the server lives.
#[test]
fn damaged_requests_get_an_answer_or_an_end() {
    let auth = AuthorizationServer::start(Policy::default()).expect("auth");
    let good = crate::client::refresh("rt-1-0-unknown").into_bytes();
    for position in 0..good.len() {
        for byte in [0, b'\n', b'9', b':', 0xff] {
            let mut damaged = good.clone();
            damaged[position] = byte;
            let mut client = Client::connect(auth.addr());
            client.write(&damaged);
            client.end();
            if let Some(answer) = client.read() {
                assert!(
                    matches!(answer.status, 400 | 401 | 404 | 405 | 413 | 417 | 501),
                    "{}",
                    answer.status
                );
            }
        }
    }
    assert_eq!(exchange(&auth, &auth.issue().refresh_token).status, 200);
}
