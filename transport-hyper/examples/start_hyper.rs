//! The program of the README.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_hyper::{
    AllowedOrigins, AuthLayer, Endpoint, Grant, HyperTransport, OAuthProfile, Rules, Session, TokioRuntime,
    wire::{ClientAuth, OAuthClient},
};
use tower::{Layer, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two servers on this machine, and a sign-in whose access token is refused by now.
    let auth = AuthorizationServer::start(Policy::default())?;
    let server = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let signed_in = auth.issue();
    auth.expire(&signed_in.access_token);

    // Yours: Endpoint::https("https://auth.example.com/token") and .https("https://api.example.com").
    let endpoint = Endpoint::https_or_loopback(&auth.url("/token"))?;
    let origins = AllowedOrigins::none().loopback_http(&server.url(""))?;

    let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client = OAuthClient::new(ClientAuth::None { client_id: "my-app".into() });
    let profile = OAuthProfile::refresh_token(client, endpoint);
    let transport = HyperTransport::new(connector.clone());
    let session = Session::builder().asynchronous(transport, profile, TokioRuntime::current()?)?;
    session.sign_in(Grant::new(signed_in.access_token)?.with_refresh_token(signed_in.refresh_token)?);
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let api = AuthLayer::new(session, Rules::new(origins)).layer(client);

    let me = api.clone().oneshot(Request::get(server.url("/me")).body(Full::default())?).await?;
    println!("{}", me.status());
    assert_eq!(me.status(), 200);
    assert_eq!(auth.token_requests().len(), 1, "one refresh");
    Ok(())
}
