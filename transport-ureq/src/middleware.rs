use std::io::{Cursor, Read};

use token_refresh_driver::{Rules, Session};
use ureq::{
    Agent, Body, RequestExt as _, SendBody,
    http::{Method, Request, Response, request::Parts},
    middleware::{Middleware, MiddlewareNext},
};

use crate::{
    Error, Source,
    attempts::{self, Sender, configure, status_as_error},
};

/// As [`AuthAgent`](crate::AuthAgent), for programs that use ureq's request builders.
///
/// ```no_run
/// use token_refresh_ureq::{AuthMiddleware, Rules, Session};
/// use ureq::Agent;
///
/// # fn make(session: Session, rules: Rules) -> Result<(), ureq::Error> {
/// let plain = Agent::new_with_defaults();
/// let auth = AuthMiddleware::new(session, rules, plain).replay_up_to(64 * 1024);
/// let agent = Agent::config_builder().middleware(auth).build().new_agent();
///
/// agent.post("https://api.example.com/notes").send("remember the milk")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a call
///
/// Where there is no token, or none that is newer than the refused one, the call returns [`ureq::Error::Other`]. Turn it
/// into an [`Error`] with `Error::from`, and it is what [`AuthAgent::run`](crate::AuthAgent::run) would have returned,
/// the refusal with its content included. All other errors are ureq's own.
///
/// # What ureq does not let a middleware do
///
/// - Send a request twice through its own agent. The repetition goes through the agent given to [`new`](Self::new), which
///   should be configured like the agent that the middleware is for, without the middleware; a repetition does not use
///   the first one's connections.
/// - See how long content is. Content is therefore replayed only up to a stated length, see
///   [`replay_up_to`](Self::replay_up_to).
/// - See whether statuses are to become errors. They do, as is ureq's default, unless
///   [`statuses_are_answers`](Self::statuses_are_answers) is called.
/// - See the time limits of its agent. A request waits for a token no longer than the session allows, and not beyond the
///   `timeout_global` of the agent given to [`new`](Self::new), counted from the call.
#[derive(Clone, Debug)]
pub struct AuthMiddleware {
    session: Session,
    rules: Rules,
    replay_agent: Agent,
    replay_up_to: usize,
    status_as_error: bool,
}

impl AuthMiddleware {
    /// Sends with the tokens of this session, by these rules; `replay_agent` sends repetitions.
    pub fn new(session: Session, rules: Rules, replay_agent: Agent) -> Self {
        Self { session, rules, replay_agent, replay_up_to: 0, status_as_error: true }
    }

    /// Requests with content of up to this many bytes can be repeated; the content is copied for that. Without it only
    /// requests without content can.
    ///
    /// The price: content that is longer is sent in chunks, because ureq knew its length and a middleware does not,
    /// unless the request says `Content-Length` itself. Some servers do not take that from uploads.
    #[must_use]
    pub fn replay_up_to(mut self, bytes: usize) -> Self {
        self.replay_up_to = bytes;
        self
    }

    /// 4xx and 5xx are answers and not errors: for an agent with `http_status_as_error(false)`.
    #[must_use]
    pub fn statuses_are_answers(mut self) -> Self {
        self.status_as_error = false;
        self
    }

    fn run(&self, parts: Parts, body: SendBody, next: MiddlewareNext) -> Result<Response<Body>, Error> {
        let Some(request) = self.rules.admit(&parts) else {
            return Ok(next.handle(Request::from_parts(parts, body))?);
        };
        let content = Content::of(&parts.method, body, self.replay_up_to)?;
        let parts = self.configured(parts);
        let mut sender = Chain { next: Some(next), replay_agent: &self.replay_agent, content };
        let limit = self.replay_agent.config().timeouts().global;
        let response = attempts::run(&self.session, &self.rules, request, &parts, limit, &mut sender)?;
        if self.status_as_error { status_as_error(response) } else { Ok(response) }
    }

    fn configured(&self, parts: Parts) -> Parts {
        let request = Request::from_parts(parts.clone(), ());
        // A request that other middleware has made from nothing does not know its agent.
        let config = request.middleware_config();
        let config =
            config.unwrap_or_else(|| self.replay_agent.configure_request(Request::from_parts(parts, ())));
        configure(config).into_parts().0
    }
}

impl Middleware for AuthMiddleware {
    fn handle(
        &self,
        request: Request<SendBody>,
        next: MiddlewareNext,
    ) -> Result<Response<Body>, ureq::Error> {
        let (parts, body) = request.into_parts();
        Ok(self.run(parts, body, next)?)
    }
}

/// The content of a request, and whether there is a copy of it.
enum Content<'a> {
    Empty,
    Captured(Vec<u8>),
    /// Not looked at, so that ureq still knows its length; `None` once it is sent.
    Untouched(Option<SendBody<'a>>),
    /// Too long to be captured.
    Streamed(Box<dyn Read + 'a>),
}

impl<'a> Content<'a> {
    fn of(method: &Method, body: SendBody<'a>, limit: usize) -> Result<Self, ureq::Error> {
        let expected = !method.is_safe() && method != Method::DELETE;
        if expected && limit == 0 {
            return Ok(Self::Untouched(Some(body)));
        }
        // ureq does not say whether there is content. For the other methods there hardly ever is.
        let mut reader = body.into_reader();
        let mut beginning = Vec::new();
        reader.by_ref().take((limit as u64).saturating_add(1)).read_to_end(&mut beginning)?;
        Ok(match beginning.len() {
            0 if !expected => Self::Empty,
            length if length <= limit => Self::Captured(beginning),
            _ => Self::Streamed(Box::new(Cursor::new(beginning).chain(reader))),
        })
    }
}

struct Chain<'a, 'b> {
    /// Sends the first attempt.
    next: Option<MiddlewareNext<'a>>,
    /// Sends the repetition.
    replay_agent: &'a Agent,
    content: Content<'b>,
}

impl Sender for Chain<'_, '_> {
    fn send(&mut self, parts: Parts) -> Result<Response<Body>, ureq::Error> {
        let mut run = |request: Request<SendBody<'_>>| match self.next.take() {
            Some(next) => next.handle(request),
            None => self.replay_agent.run(request),
        };
        match &mut self.content {
            Content::Empty => Source::Empty.with(parts, run),
            Content::Captured(content) => Source::Bytes(content).with(parts, run),
            Content::Streamed(reader) => Source::Reader { reader, length: None }.with(parts, run),
            Content::Untouched(body) => match body.take() {
                Some(body) => run(Request::from_parts(parts, body)),
                None => Source::Empty.with(parts, run),
            },
        }
    }

    fn is_repeatable(&self) -> bool {
        matches!(self.content, Content::Empty | Content::Captured(_))
    }

    fn is_one_shot(&self) -> bool {
        !self.is_repeatable()
    }
}
