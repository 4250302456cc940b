//! An API that refuses the only access token that there is, and a client that does not know.

use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Endpoint, Grant, OAuthProfile, Rules, Session,
    reqwest::Client,
    wire::{ClientAuth, OAuthClient},
};

pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    pub(crate) api: ResourceServer,
    pub(crate) client: AuthClient,
}

impl World {
    /// To be called in a runtime.
    pub(crate) fn expired() -> Self {
        Self::with(|rules| rules)
    }

    /// With other rules.
    pub(crate) fn with(change: impl FnOnce(Rules) -> Rules) -> Self {
        let auth = AuthorizationServer::start(Policy::default()).unwrap();
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
        let rules = change(Rules::new(AllowedOrigins::none().loopback_http(&api.url("")).unwrap()));
        let client = AuthClient::new(Client::builder().no_proxy(), session(&auth), rules).unwrap();
        Self { auth, api, client }
    }

    pub(crate) fn session(&self) -> &Session {
        self.client.session()
    }

    pub(crate) fn refreshes(&self) -> usize {
        self.auth.token_requests().len()
    }

    /// Makes the token good.
    pub(crate) async fn refresh(&self) {
        let refused = self.session().current().unwrap().id();
        self.session().reject_async(refused).await.unwrap();
    }
}

/// A session whose access token has expired.
pub(crate) fn session(auth: &AuthorizationServer) -> Session {
    let issued = auth.issue();
    auth.expire(&issued.access_token);
    let client = OAuthClient::new(ClientAuth::None { client_id: "test".into() });
    let endpoint = Endpoint::https_or_loopback(&auth.url("/token")).unwrap();
    let session = token_refresh_reqwest::session(OAuthProfile::refresh_token(client, endpoint)).unwrap();
    let grant = Grant::new(issued.access_token).unwrap();
    session.sign_in(grant.with_refresh_token(issued.refresh_token).unwrap());
    session
}
