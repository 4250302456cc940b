//! The rules of every adapter, over real sockets: through [`AuthAgent`] and through [`AuthMiddleware`].
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Cursor, Read as _};

use token_refresh_conformance::adapter::{self, Answer, Client, Content, Problem, RefusedIf, Setup, Spec};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, AuthMiddleware, Endpoint, Error, Grant, OAuthProfile, OneShot, Replay, Rules,
    Session, UreqTransport, WithoutToken,
    wire::{ClientAuth, OAuthClient},
};
use ureq::{
    Agent, Body, SendBody,
    config::{ConfigBuilder, RedirectAuthHeaders},
    http::{Request, Response, request},
    typestate::AgentScope,
};

mod agent {
    token_refresh_conformance::adapter_rules!(super::ThroughAgent);
}

mod middleware {
    token_refresh_conformance::adapter_rules!(super::ThroughMiddleware);
}

struct ThroughAgent(AuthAgent);

impl Client for ThroughAgent {
    fn new(setup: &Setup) -> Self {
        Self(AuthAgent::new(plain(), session(setup), rules(setup)))
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec);
        let response = match &spec.content {
            Content::None => self.0.run(body(request, ())?),
            Content::Bytes(bytes) => self.0.run(body(request, &bytes[..])?),
            Content::Stream(bytes) => self.0.run(body(request, OneShot::new(Cursor::new(bytes)))?),
        };
        response.map(read).map_err(problem)
    }
}

struct ThroughMiddleware(Agent);

impl Client for ThroughMiddleware {
    fn new(setup: &Setup) -> Self {
        let auth = AuthMiddleware::new(session(setup), rules(setup), plain())
            .replay_up_to(128 * 1024)
            .statuses_are_answers();
        Self(config().middleware(auth).build().new_agent())
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let request = request(spec);
        let response = match &spec.content {
            Content::None => self.0.run(body(request, ())?),
            Content::Bytes(bytes) => self.0.run(body(request, &bytes[..])?),
            Content::Stream(bytes) => {
                // More than the middleware is willing to copy, so that it cannot be sent twice.
                let mut bytes = Cursor::new(bytes).chain(std::io::empty());
                self.0.run(body(request, SendBody::from_reader(&mut bytes))?)
            }
        };
        response.map(read).map_err(|error| problem(error.into()))
    }
}

fn plain() -> Agent {
    config().build().new_agent()
}

/// Of all that can be set, what is most dangerous for a token.
fn config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder().http_status_as_error(false).redirect_auth_headers(RedirectAuthHeaders::SameHost)
}

fn session(setup: &Setup) -> Session {
    let client = OAuthClient::new(ClientAuth::None { client_id: "test".into() });
    let endpoint = Endpoint::https_or_loopback(&setup.token_endpoint).unwrap();
    let session = Session::builder()
        .time_limit(setup.time_limit)
        .blocking(UreqTransport::new(), OAuthProfile::refresh_token(client, endpoint))
        .unwrap();
    let grant = Grant::new(&*setup.access_token).unwrap().with_refresh_token(&*setup.refresh_token).unwrap();
    session.sign_in(setup.lifetime.into_iter().fold(grant, Grant::with_lifetime));
    session
}

fn rules(setup: &Setup) -> Rules {
    let allow = |allowed: AllowedOrigins, origin: &String| allowed.loopback_http(origin).unwrap();
    let mut rules = Rules::new(setup.origins.iter().fold(AllowedOrigins::none(), allow));
    if setup.strict {
        rules = rules.strict();
    }
    if let Some(RefusedIf { statuses, predicate }) = setup.refused_if.clone() {
        rules = rules.refused_if(statuses, move |answer| predicate(answer.status, answer.body));
    }
    rules
}

fn request(spec: &Spec) -> request::Builder {
    let mut request = Request::builder().method(spec.method).uri(&spec.url).extension(match spec.replay {
        adapter::Replay::Never => Replay::Never,
        adapter::Replay::Default => Replay::default(),
        adapter::Replay::Always => Replay::Always,
    });
    if spec.without_token {
        request = request.extension(WithoutToken);
    }
    spec.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

fn body<B>(request: request::Builder, body: B) -> Result<Request<B>, Problem> {
    request.body(body).map_err(|error| problem(Error::Http(error.into())))
}

fn read(mut response: Response<Body>) -> Answer {
    let body = response.body_mut().read_to_vec().unwrap();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Answer { status: response.status().as_u16(), headers, body }
}

fn problem(error: Error) -> Problem {
    let (cause, text) = (error.cause(), Problem::text_of(&error));
    Problem { refusal: error.into_response().map(read), cause, text }
}
