//! HTTP/1.1 as far as clients need it.

use token_refresh_conformance::server::{ResourcePolicy, Response, Step, digest};

use crate::client::{Client, ask, get, servers};

#[test]
fn chunked_content_is_put_together() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let mut client = Client::connect(api.addr());
    let head = format!("POST /x HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n");
    client.write(format!("{head}Transfer-Encoding: Chunked\r\n\r\n3;note=\"x\"\r\nabc\r\n"));
    client.write("A\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n");
    assert_eq!(client.read().expect("an answer").json()["body_len"], 13);
    assert_eq!(api.log()[0].body_digest, digest(b"abc0123456789"));
    client.write(get("/next", &token));
    assert_eq!(client.read().expect("the same connection").status, 200);
}

#[test]
fn content_that_waits_for_100_is_asked_for() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    for (framing, content) in
        [("Content-Length: 3", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")]
    {
        let mut client = Client::connect(api.addr());
        client.write(format!("PUT /x HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n"));
        client.write(format!("Expect: 100-Continue\r\n{framing}\r\n\r\n"));
        assert_eq!(client.read().expect("an interim answer").status, 100);
        client.write(content);
        assert_eq!(client.read().expect("an answer").json()["body_len"], 3);
    }
}

#[test]
fn content_that_does_not_wait_is_not_asked_for() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let request = format!(
        "PUT /x HTTP/1.1\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
    );
    assert_eq!(ask(api.addr(), request).map(|answer| answer.status), Some(200));
}

#[test]
fn a_connection_serves_many_requests_also_without_waiting() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let mut client = Client::connect(api.addr());
    client.write(get("/1", &token).repeat(3));
    for _ in 0..3 {
        assert_eq!(client.read().map(|answer| answer.status), Some(200));
    }
    client.write(get("/4", &token).replace("\r\n\r\n", "\r\nConnection: Keep-Alive, CLOSE\r\n\r\n"));
    assert_eq!(client.read().expect("an answer").field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn every_method_is_served_and_head_has_no_content() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let mut client = Client::connect(api.addr());
    for method in ["HEAD", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        client.write(get("/x", &token).replacen("GET", method, 1));
        let answer = client.read_answer_to(method).expect("an answer");
        assert_eq!((answer.status, answer.body.is_empty()), (200, method == "HEAD"));
        assert_ne!(answer.field("content-length"), Some("0"));
    }
    api.script([Step::new().answer(Response::new(204).body("x"))]);
    client.write(get("/x", &token));
    let answer = client.read().expect("an answer");
    assert_eq!((answer.status, answer.field("content-length")), (204, None));
    client.write("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.read().expect("an answer").field("connection"), Some("close"));
    assert!(client.is_closed());
}
