use std::{
    io::{self, Cursor, Read as _},
    time::{Duration, Instant},
};

use token_refresh_driver::{Answer, Carried, Refusal, ResourceRequest, Rules, Ruling, Session, StepUp};
use ureq::{
    AsSendBody, Body, ResponseExt as _,
    config::{ConfigBuilder, RedirectAuthHeaders},
    http::{Request, Response, request::Parts},
    typestate::HttpCrateScope,
};

use crate::Error;

/// How much of a refusal that nobody will read is read, so that its connection can be used again (RPLY-09).
const MAX_DRAINED: u64 = 16 * 1024;

/// Sends the attempts of one request.
pub(crate) trait Sender {
    /// Sends it, [configured](configure). The request has a token.
    fn send(&mut self, parts: Parts) -> Result<Response<Body>, ureq::Error>;

    /// Whether the content can be sent once more.
    fn is_repeatable(&self) -> bool;

    /// Whether it can be sent only once, as far as one knows before it is sent.
    fn is_one_shot(&self) -> bool;
}

/// Sends a request with a token, and once more with a newer one if the rules and the content allow it. After `limit` it
/// waits no longer for a token (RPLY-06).
pub(crate) fn run(
    session: &Session,
    rules: &Rules,
    mut request: ResourceRequest,
    parts: &Parts,
    limit: Option<Duration>,
    sender: &mut impl Sender,
) -> Result<Response<Body>, Error> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let patience = || {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.unwrap_or(Duration::MAX).min(session.time_limit())
    };
    let token = if sender.is_one_shot() { Session::fresh_token_within } else { Session::token_within };
    let mut token = token(session, patience()).map_err(Error::NoToken)?;
    loop {
        let mut attempt = parts.clone();
        request.carry(token, &mut attempt.headers);
        let mut response = sender.send(attempt).map_err(Error::from)?;
        match judge(rules, &request, &mut response) {
            Ruling::Accepted(token) => {
                session.accept(token);
                return Ok(response);
            }
            Ruling::StepUpNeeded { token, step_up } => {
                session.accept(token);
                response.extensions_mut().insert(step_up);
                return Ok(response);
            }
            Ruling::Final => return Ok(response),
            Ruling::Refused { token: refused, replay } => {
                token = match session.reject_within(refused, patience()) {
                    Ok(newer) => newer,
                    Err(reason) => {
                        let status = response.status();
                        let refusal = Refusal { status, response: Box::new(response), reason };
                        return Err(Error::Refused(refusal));
                    }
                };
                if !replay || !sender.is_repeatable() {
                    return Ok(response);
                }
                drain(response);
            }
        }
    }
}

/// What the attempts need from ureq, whatever the caller's configuration says.
pub(crate) fn configure<S: AsSendBody>(config: ConfigBuilder<HttpCrateScope<S>>) -> Request<S> {
    config
        // An answer that becomes an error loses its challenge.
        .http_status_as_error(false)
        // ureq's other policy compares hosts and not ports, which would take the token to another origin (SEC-03).
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        // The final address does not tell a redirect that came back from none at all.
        .save_redirect_history(true)
        .build()
}

/// What ureq would have made of the status.
pub(crate) fn status_as_error(response: Response<Body>) -> Result<Response<Body>, Error> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(response);
    }
    Err(match response.extensions().get::<StepUp>().cloned() {
        Some(step_up) => Error::StepUp { step_up, response: Box::new(response) },
        None => Error::Http(ureq::Error::StatusCode(status.as_u16())),
    })
}

fn judge(rules: &Rules, request: &ResourceRequest, response: &mut Response<Body>) -> Ruling {
    let redirected = response.get_redirect_history().is_some_and(|history| history.len() > 1);
    let carried = if redirected { Carried::No } else { Carried::Yes };
    let status = response.status().as_u16();
    let beginning = if rules.peeks_at(status) { peek(response.body_mut()) } else { Vec::new() };
    rules.judge(request, status, response.headers(), &beginning, carried)
}

/// The beginning of the content, which stays readable as a whole (CHAL-10).
fn peek(body: &mut Body) -> Vec<u8> {
    let mut beginning = Vec::new();
    let broken = body.as_reader().take(Answer::MAX_PEEK as u64).read_to_end(&mut beginning).err();

    let mut rebuilt = Body::builder();
    if let Some(mime_type) = body.mime_type() {
        rebuilt = rebuilt.mime_type(mime_type);
    }
    if let Some(charset) = body.charset() {
        rebuilt = rebuilt.charset(charset);
    }
    if let Some(length) = body.content_length() {
        rebuilt = rebuilt.limit(length);
    }
    let rest = std::mem::replace(body, Body::builder().data(Vec::new()));
    let rest = Broken(broken).chain(rest.into_reader());
    *body = rebuilt.reader(Cursor::new(beginning.clone()).chain(rest));
    beginning
}

/// Where the content broke off, for the caller to find too: ureq says it once, and then that all is well.
struct Broken(Option<io::Error>);

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn drain(response: Response<Body>) {
    let body = response.into_body();
    if body.content_length().is_some_and(|length| length <= MAX_DRAINED) {
        // If it breaks, the connection is not used again, and that is all.
        let _ = io::copy(&mut body.into_reader(), &mut io::sink());
    }
}
