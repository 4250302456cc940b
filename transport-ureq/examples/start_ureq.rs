//! The program of the README.

use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Endpoint, Grant, OAuthProfile, Rules,
    ureq::{self, http::Request},
    wire::{ClientAuth, OAuthClient},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two servers on this machine, and a sign-in whose access token is refused by now.
    let auth = AuthorizationServer::start(Policy::default())?;
    let server = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let signed_in = auth.issue();
    auth.expire(&signed_in.access_token);

    // Yours: Endpoint::https("https://auth.example.com/token") and .https("https://api.example.com").
    let endpoint = Endpoint::https_or_loopback(&auth.url("/token"))?;
    let origins = AllowedOrigins::none().loopback_http(&server.url(""))?;

    let client = OAuthClient::new(ClientAuth::None { client_id: "my-app".into() });
    let session = token_refresh_ureq::session(OAuthProfile::refresh_token(client, endpoint))?;
    session.sign_in(Grant::new(signed_in.access_token)?.with_refresh_token(signed_in.refresh_token)?);
    let agent = AuthAgent::new(ureq::agent(), session, Rules::new(origins));

    let me = agent.run(Request::get(server.url("/me")).body(())?)?;
    println!("{}", me.status());
    assert_eq!(me.status(), 200);
    assert_eq!(auth.token_requests().len(), 1, "one refresh");
    Ok(())
}
