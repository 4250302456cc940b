use std::{
    fmt,
    io::Read as _,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use token_refresh_driver::{Attempt, Transport, TransportError, WithoutToken};
use ureq::{
    Agent, Body, Error,
    config::Config,
    http::{Request, Response},
    unversioned::{
        resolver::DefaultResolver,
        transport::{self as wire, Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout},
    },
};

/// Sends token requests with ureq: each on a connection of its own, once, following nothing.
///
/// A connection that was kept would save a handshake now and then. But the server may have closed it, and a request
/// written to a dead connection may or may not have been processed: for a refresh token that is the worst answer.
pub struct UreqTransport {
    config: Config,
    connector: Arc<DefaultConnector>,
    on_error: Box<dyn Fn(&Error) + Send + Sync>,
}

impl UreqTransport {
    /// Direct connections, whatever proxy the environment names; TLS as ureq's features say.
    pub fn new() -> Self {
        Self::with_config(Config::builder().proxy(None).build())
    }

    /// Connections as this configuration says: proxy, TLS, time limits that are shorter than the session's. A ureq
    /// configuration takes its proxy from the environment unless it is told otherwise.
    ///
    /// What concerns redirects and statuses in it has no meaning here.
    pub fn with_config(config: Config) -> Self {
        Self { config, connector: Arc::default(), on_error: Box::new(|_| {}) }
    }

    /// Calls `observer` with the reason whenever there is no answer: an unknown host, a refused connection, a
    /// certificate. A session learns only whether something was sent.
    #[must_use]
    pub fn on_error(mut self, observer: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(observer);
        self
    }
}

impl fmt::Debug for UreqTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqTransport").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Default for UreqTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for UreqTransport {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        let (mut parts, body) = request.into_parts();
        // Should the configuration bring middleware of ours along: this request is no business of its (CORE-15).
        parts.extensions.insert(WithoutToken);

        let gate = Gate { connector: Arc::clone(&self.connector), attempt: attempt.clone() };
        let agent = Agent::with_parts(self.config.clone(), gate, DefaultResolver::default());
        let request = agent
            .configure_request(Request::from_parts(parts, &*body))
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(attempt.time_to_begin()))
            .build();
        agent.run(request).and_then(whole).map_err(|error| {
            (self.on_error)(&error);
            match attempt.sent_at() {
                // The gate never opened, so nothing was written.
                None => TransportError::NotSent,
                Some(_) => TransportError::Ambiguous,
            }
        })
    }
}

/// The answer with its content; of one that is too long as much as shows it.
fn whole(response: Response<Body>) -> Result<Response<Bytes>, Error> {
    let (parts, body) = response.into_parts();
    let mut content = Vec::new();
    body.into_reader().take(Attempt::MAX_BODY as u64 + 1).read_to_end(&mut content)?;
    Ok(Response::from_parts(parts, content.into()))
}

/// Makes connections that look at the clock between connecting and writing.
struct Gate {
    connector: Arc<DefaultConnector>,
    attempt: Attempt,
}

impl Connector for Gate {
    type Out = Gated;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Gated>, Error> {
        let connector = Arc::clone(&self.connector);
        let details = ConnectionDetails {
            // Shared with the resolution of the name, which has taken some of it.
            timeout: at_most(details.timeout, self.attempt.time_to_begin())?,
            // What is written to a proxy in order to connect is not the request yet, so it goes around the gate.
            run_connector: Arc::new(move |details| {
                connector.connect(details, None)?.ok_or(Error::ConnectionFailed)
            }),
            // The time limits are this request's own, but the TLS configuration is the same for all and may be kept.
            request_level: false,
            addrs: details.addrs.clone(),
            current_time: Arc::clone(&details.current_time),
            register_shutdown: Arc::clone(&details.register_shutdown),
            ..*details
        };
        let transport = self.connector.connect(&details, None)?;
        let gated = |transport| Gated {
            transport,
            attempt: self.attempt.clone(),
            begun: false,
            end: None,
            late: false,
        };
        Ok(transport.map(gated))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.connector).finish()
    }
}

/// A connection for one request.
struct Gated {
    transport: Box<dyn wire::Transport>,
    attempt: Attempt,
    begun: bool,
    /// When all of the answer must be here.
    end: Option<Instant>,
    /// Whether the time is over and what has arrived is being read.
    late: bool,
}

impl Gated {
    /// For what has arrived when the time is over. A process that stood still for longer than the limit may find its
    /// answer in the socket; to throw it away would cost the refresh token.
    const GRACE: Duration = Duration::from_millis(10);

    fn limit(&mut self, timeout: NextTimeout) -> Result<NextTimeout, Error> {
        let Some(end) = self.end else { return Ok(timeout) };
        let now = Instant::now();
        if end <= now && !std::mem::replace(&mut self.late, true) {
            self.end = now.checked_add(Self::GRACE);
            return at_most(timeout, Self::GRACE);
        }
        at_most(timeout, end.saturating_duration_since(now))
    }
}

impl wire::Transport for Gated {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !self.begun {
            self.attempt.begin().map_err(|error| Error::Other(error.into()))?;
            self.begun = true;
            self.end = Instant::now().checked_add(self.attempt.limit());
        }
        let timeout = self.limit(timeout)?;
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limited = self.limit(timeout)?;
        match self.transport.await_input(limited) {
            // A read that the stop itself interrupted says so without a look at what has arrived.
            Err(Error::Timeout(_)) if !self.late && self.end.is_some_and(|end| end <= Instant::now()) => {
                let limited = self.limit(timeout)?;
                self.transport.await_input(limited)
            }
            result => result,
        }
    }

    fn is_open(&mut self) -> bool {
        // The agent that could keep it for another request ends with this one.
        false
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gated").field(&self.transport).finish()
    }
}

/// Shortens a time limit. If none is left, that is an error here, because ureq connects for
/// a second if the limit is zero.
fn at_most(timeout: NextTimeout, limit: Duration) -> Result<NextTimeout, Error> {
    if limit.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(NextTimeout { after: timeout.after.min(limit.into()), ..timeout })
}
