//! What a program writes that uses this project.

use std::{io::Cursor, time::Duration};

use token_refresh_conformance::{
    adapter::{Content, Spec},
    server::Issued,
};
use token_refresh_driver::{SessionBuilder, Store};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Endpoint, Error, Grant, JsonProfile, OneShot, Rules, Session, UreqTransport,
    ureq::http::Request, wire::JsonEndpoint,
};

use crate::{
    Answer, Client,
    world::{SOON, World, http_client},
};

pub(crate) struct Ours(AuthAgent);

impl Client for Ours {
    fn send(&self, request: &Spec) -> Answer {
        let head = Request::builder().method(request.method).uri(&request.url);
        let head = request.headers.iter().fold(head, |head, (name, value)| head.header(*name, value));
        let sent = match &request.content {
            Content::None => self.0.run(head.body(()).unwrap()),
            Content::Bytes(bytes) => self.0.run(head.body(&**bytes).unwrap()),
            Content::Stream(bytes) => self.0.run(head.body(OneShot::new(Cursor::new(bytes))).unwrap()),
        };
        match sent {
            Ok(response) => Answer::Status(response.status().as_u16()),
            Err(Error::Http(error)) => panic!("{request:?}: {error}"),
            Err(error) => Answer::NoToken(error.cause()),
        }
    }

    fn sign_in(&self, tokens: &Issued) {
        let grant = Grant::new(&*tokens.access_token).unwrap().with_lifetime(Duration::from_secs(3600));
        self.session().sign_in(grant.with_refresh_token(&*tokens.refresh_token).unwrap());
    }

    fn settle(&self) {
        self.session().settle(SOON).unwrap();
    }
}

impl Ours {
    /// Signed in.
    pub(crate) fn new(world: &World) -> Self {
        let ours = Self::build(world, Session::builder());
        ours.sign_in(&world.tokens);
        ours
    }

    /// One of several processes that share a credential. Signed in if the others are.
    pub(crate) fn sharing(world: &World, store: impl Store + 'static) -> Self {
        Self::build(world, Session::builder().store(store))
    }

    pub(crate) fn session(&self) -> &Session {
        self.0.session()
    }

    fn build(world: &World, builder: SessionBuilder) -> Self {
        let endpoint = Endpoint::https_or_loopback(&world.auth.url("/refresh")).unwrap();
        let session = builder
            .clock(world.clock.clone())
            .time_limit(SOON)
            .blocking(UreqTransport::new(), JsonProfile::new(JsonEndpoint::new(), endpoint))
            .unwrap();
        // As in many programs, the API and its token endpoint go by the same rules.
        let origins = [world.api.url(""), world.auth.url("")]
            .iter()
            .fold(AllowedOrigins::none(), |origins, origin| origins.loopback_http(origin).unwrap());
        Self(AuthAgent::new(http_client(), session, Rules::new(origins)))
    }
}
