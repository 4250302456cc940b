use token_refresh_driver::{Rules, Session};
use ureq::{
    Agent, Body,
    http::{Request, Response, request::Parts},
};

use crate::{
    Error, ReplayBody,
    attempts::{self, Sender, configure, status_as_error},
};

/// A ureq agent whose requests carry the session's token. Cheap to clone; clones share connections and session.
///
/// - The token goes to the allowed origins and nowhere else. Every other request, and every request that brings its own
///   `Authorization`, is sent as it is.
/// - A request whose token is refused is sent once more with a newer one, if its method and its content allow it
///   ([`Replay`](crate::Replay), [`ReplayBody`]).
/// - A redirect takes the token off, as it does in ureq, and whoever answers then refuses nothing.
///
/// The time limits of agent and request hold for each attempt. A request waits for a token no longer than the session
/// allows ([`SessionBuilder::time_limit`](crate::driver::SessionBuilder::time_limit)), and not beyond the agent's
/// `timeout_global`, counted from the call. That of a single request cannot be read back.
///
/// Whether 4xx and 5xx become errors is up to the agent's configuration, as usual in ureq. A configuration of the
/// single request is used, except for its `http_status_as_error`, which cannot be read back.
#[derive(Clone, Debug)]
pub struct AuthAgent {
    agent: Agent,
    session: Session,
    rules: Rules,
}

impl AuthAgent {
    /// Sends with this agent, with the tokens of this session, by these rules.
    pub fn new(agent: Agent, session: Session, rules: Rules) -> Self {
        Self { agent, session, rules }
    }

    /// Sends the request and waits for the answer; before that, if need be, for a token.
    ///
    /// Extensions of the request are understood: [`Replay`](crate::Replay) and [`WithoutToken`](crate::WithoutToken).
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Refused`] the answer that refused the token is in it.
    pub fn run<B: ReplayBody>(&self, request: Request<B>) -> Result<Response<Body>, Error> {
        let (parts, mut body) = request.into_parts();
        let Some(request) = self.rules.admit(&parts) else {
            return Ok(body.source().with(parts, |request| self.agent.run(request))?);
        };
        let mut sender = Direct { agent: &self.agent, body };
        let limit = self.agent.config().timeouts().global;
        let response = attempts::run(&self.session, &self.rules, request, &parts, limit, &mut sender)?;
        if self.agent.config().http_status_as_error() { status_as_error(response) } else { Ok(response) }
    }

    /// The session, to sign in and out.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

struct Direct<'a, B> {
    agent: &'a Agent,
    body: B,
}

impl<B: ReplayBody> Sender for Direct<'_, B> {
    fn send(&mut self, parts: Parts) -> Result<Response<Body>, ureq::Error> {
        let agent = self.agent;
        self.body.source().with(parts, |request| agent.run(configure(agent.configure_request(request))))
    }

    fn is_repeatable(&self) -> bool {
        self.body.is_whole()
    }

    fn is_one_shot(&self) -> bool {
        self.body.is_one_shot()
    }
}
