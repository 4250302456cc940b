//! Where the endpoints are, by the server's own account (RFC 8414).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    future::{pending, ready},
    sync::Mutex,
    time::Duration,
};

use bytes::Bytes;
use futures::executor::block_on;
use http::{Method, Request, Response, Uri};
use token_refresh_driver::{
    AsyncTransport, Attempt, EndpointError, Issuer, Metadata, MetadataError, Sleep, Transport, TransportError,
};

const LIMIT: Duration = Duration::from_secs(10);

/// Answers every request like this, and remembers where it went.
struct Server {
    answer: Result<Response<Bytes>, TransportError>,
    asked: Mutex<Vec<Uri>>,
}

impl Server {
    fn new(answer: Result<Response<Bytes>, TransportError>) -> Self {
        Self { answer, asked: Mutex::default() }
    }

    fn json(body: &str) -> Self {
        Self::new(Ok(Response::new(Bytes::copy_from_slice(body.as_bytes()))))
    }
}

impl Transport for Server {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        assert_eq!((request.method(), request.body().len()), (&Method::GET, 0));
        assert!(!request.headers().contains_key("authorization"));
        self.asked.lock().unwrap().push(request.uri().clone());
        self.answer.clone()
    }
}

impl AsyncTransport for Server {
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        Transport::send(self, request, attempt)
    }
}

struct NoTime;

impl Sleep for NoTime {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }
}

fn found(issuer: &Issuer, server: &Server) -> Result<Metadata, MetadataError> {
    let blocking = issuer.metadata(server, LIMIT);
    assert_eq!(block_on(issuer.metadata_async(server, &NoTime, LIMIT)), blocking);
    blocking
}

#[test]
fn rfc_8414_the_endpoints_are_found_under_the_issuer() {
    let table = [
        ("https://auth.example", "https://auth.example/.well-known/oauth-authorization-server"),
        ("https://auth.example/", "https://auth.example/.well-known/oauth-authorization-server"),
        (
            "https://auth.example:8443/t/1",
            "https://auth.example:8443/.well-known/oauth-authorization-server/t/1",
        ),
        ("https://auth.example/t/", "https://auth.example/.well-known/oauth-authorization-server/t"),
    ];
    for (issuer, address) in table {
        let server = Server::json(&format!(
            r#"{{"issuer":"{issuer}","token_endpoint":"https://auth.example/token","revocation_endpoint":"https://auth.example/revoke","jwks_uri":7}}"#
        ));
        let metadata = found(&Issuer::https(issuer).unwrap(), &server).unwrap();
        assert_eq!(metadata.token_endpoint.uri(), "https://auth.example/token");
        assert_eq!(metadata.revocation_endpoint.unwrap().uri(), "https://auth.example/revoke");
        assert_eq!(
            *server.asked.lock().unwrap(),
            [address.parse::<Uri>().unwrap(), address.parse().unwrap()]
        );
    }
}

#[test]
fn openid_connect_has_an_address_of_its_own() {
    let server =
        Server::json(r#"{"issuer":"https://auth.example/t","token_endpoint":"https://auth.example/token"}"#);
    let issuer = Issuer::https("https://auth.example/t").unwrap().openid().unwrap();
    assert_eq!(found(&issuer, &server).unwrap().revocation_endpoint, None);
    assert_eq!(server.asked.lock().unwrap()[0], "https://auth.example/t/.well-known/openid-configuration");
}

#[test]
fn xreq_07_metadata_that_could_lead_elsewhere_is_not_used() {
    use MetadataError::{Endpoint, NoTokenEndpoint, NotAnObject, OtherIssuer, Status};
    let issuer = Issuer::https("https://auth.example").unwrap();
    let status = |status| Server::new(Ok(Response::builder().status(status).body(Bytes::new()).unwrap()));
    let long = format!(r#"{{"issuer":"https://auth.example","x":"{}"}}"#, "x".repeat(Attempt::MAX_BODY));
    let table = [
        (status(404), Status(404)),
        (status(302), Status(302)),
        (status(204), Status(204)),
        (Server::json(""), NotAnObject),
        (Server::json("<html>"), NotAnObject),
        (Server::json("[]"), NotAnObject),
        (Server::json(&"[".repeat(100_000)), NotAnObject),
        (Server::json(&long), NotAnObject),
        (Server::json(r#"{"token_endpoint":"https://auth.example/token"}"#), OtherIssuer),
        (
            Server::json(r#"{"issuer":"https://evil.example","token_endpoint":"https://evil.example/t"}"#),
            OtherIssuer,
        ),
        (
            Server::json(r#"{"issuer":"https://auth.example/","token_endpoint":"https://a.example/t"}"#),
            OtherIssuer,
        ),
        (
            Server::json(r#"{"issuer":"HTTPS://auth.example","token_endpoint":"https://a.example/t"}"#),
            OtherIssuer,
        ),
        (
            Server::json(r#"{"issuer":["https://auth.example"],"token_endpoint":"https://a.example/t"}"#),
            OtherIssuer,
        ),
        (Server::json(r#"{"issuer":"https://auth.example"}"#), NoTokenEndpoint),
        (Server::json(r#"{"issuer":"https://auth.example","token_endpoint":7}"#), NoTokenEndpoint),
        (
            Server::json(r#"{"issuer":"https://auth.example","token_endpoint":"http://auth.example/token"}"#),
            Endpoint(EndpointError::NotHttps),
        ),
        (
            Server::json(r#"{"issuer":"https://auth.example","token_endpoint":"/token"}"#),
            Endpoint(EndpointError::NotAbsolute),
        ),
        (
            Server::json(
                r#"{"issuer":"https://auth.example","token_endpoint":"https://a.example/t","revocation_endpoint":"https://u:p@a.example/"}"#,
            ),
            Endpoint(EndpointError::UserInfo),
        ),
        (Server::new(Err(TransportError::NotSent)), MetadataError::NotSent),
        (Server::new(Err(TransportError::Ambiguous)), MetadataError::NoAnswer),
    ];
    for (server, expected) in table {
        assert_eq!(found(&issuer, &server), Err(expected));
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn xreq_05_an_issuer_is_https_or_by_choice_on_this_machine() {
    assert_eq!(Issuer::https("http://127.0.0.1:1").unwrap_err(), EndpointError::NotHttps);
    assert_eq!(Issuer::https_or_loopback("http://auth.example").unwrap_err(), EndpointError::NotLoopback);
    assert_eq!(Issuer::https("https://auth.example/?x=1").unwrap_err(), EndpointError::Query);
    assert_eq!(Issuer::https("https://auth.example/#x").unwrap_err(), EndpointError::Fragment);
    let server =
        Server::json(r#"{"issuer":"http://127.0.0.1:1","token_endpoint":"http://127.0.0.1:1/token"}"#);
    assert!(found(&Issuer::https_or_loopback("http://127.0.0.1:1").unwrap(), &server).is_ok());
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    struct Silent;
    impl AsyncTransport for Silent {
        async fn send(
            &self,
            _: Request<Bytes>,
            attempt: &Attempt,
        ) -> Result<Response<Bytes>, TransportError> {
            attempt.begin()?;
            pending().await
        }
    }
    struct AtOnce;
    impl Sleep for AtOnce {
        fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
            ready(())
        }
    }
    let issuer = Issuer::https("https://auth.example").unwrap();
    let found = block_on(issuer.metadata_async(&Silent, &AtOnce, Duration::from_millis(5)));
    assert_eq!(found, Err(MetadataError::NoAnswer));
}
