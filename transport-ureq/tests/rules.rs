//! The rules of every adapter, over real sockets: through [`AuthAgent`] and through [`AuthMiddleware`].
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Cursor, Read as _};

use token_refresh_conformance::adapter::{self, Answer, Client, Content, Problem, Setup, Spec};
use token_refresh_ureq::{
    AuthAgent, AuthMiddleware, Error, OneShot, Replay, Session, UreqTransport, WithoutToken,
};
use ureq::{
    Agent, Body, SendBody,
    config::{ConfigBuilder, RedirectAuthHeaders},
    http::{Request, Response, request},
    typestate::AgentScope,
};

mod agent {
    token_refresh_conformance::adapter_rules!(super::ThroughAgent);
    token_refresh_conformance::adapter_rules!(super::ThroughAgent: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

mod middleware {
    token_refresh_conformance::adapter_rules!(super::ThroughMiddleware);
    token_refresh_conformance::adapter_rules!(super::ThroughMiddleware: rply_07_content_that_can_be_sent_once_goes_with_a_fresh_token);
}

struct ThroughAgent(AuthAgent);

impl Client for ThroughAgent {
    fn new(setup: &Setup) -> Self {
        Self(AuthAgent::new(plain(), session(setup), setup.rules()))
    }

    fn session(&self) -> &Session {
        self.0.session()
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

struct ThroughMiddleware(Agent, Session);

impl Client for ThroughMiddleware {
    fn new(setup: &Setup) -> Self {
        let session = session(setup);
        let auth = AuthMiddleware::new(session.clone(), setup.rules(), plain())
            .replay_up_to(128 * 1024)
            .statuses_are_answers();
        Self(config().middleware(auth).build().new_agent(), session)
    }

    fn session(&self) -> &Session {
        &self.1
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
    let session = setup.session().blocking(UreqTransport::new(), setup.profile()).unwrap();
    session.sign_in(setup.grant());
    session
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
    let step_up = response.extensions().get().cloned();
    Answer { status: response.status().as_u16(), headers, body, step_up }
}

fn problem(error: Error) -> Problem {
    let (cause, retry_at, text) = (error.cause(), error.retry_at(), Problem::text_of(&error));
    Problem { refusal: error.into_response().map(read).map(Box::new), cause, retry_at, text }
}
