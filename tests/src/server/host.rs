//! One server on one address: takes requests, follows the script, keeps the log, and lets a [`Service`] process.

use std::{
    fmt, io,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use super::{
    End, Seen, Step, Tag, Verdict,
    connection::{Connection, Unreadable},
    listener::{Listener, Stop},
    log::{Entry, Log},
    message::{Close, Request, Response},
    script::{Cut, Script},
};

/// What makes an authorization server or a resource server of a host.
pub(super) trait Service: Send + Sync + 'static {
    /// The token that a request carries, if it is known. Changes nothing.
    fn carried(&self, request: &Request) -> Option<Tag>;

    /// Acts on a request.
    fn process(&self, request: &Request) -> (Response, Verdict);
}

/// A running server. Dropping it ends it: see [`Listener`].
pub(super) struct Host {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    log: Log,
    service: Box<dyn Service>,
}

impl Host {
    pub(super) fn start(log: Log, service: impl Service) -> io::Result<Self> {
        let shared = Arc::new(Shared { script: Script::default(), log, service: Box::new(service) });
        let listener = Listener::start({
            let shared = Arc::clone(&shared);
            move |stream, stop| shared.converse(stream, stop)
        })?;
        Ok(Self { listener, shared })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.addr())
    }

    pub(super) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.script.push(steps);
    }

    pub(super) fn unused_steps(&self) -> usize {
        self.shared.script.len()
    }

    pub(super) fn log(&self) -> Vec<Seen> {
        self.shared.log.copy()
    }

    pub(super) fn take_log(&self, ago: Duration) -> Vec<Seen> {
        self.shared.log.take(ago)
    }

    pub(super) fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.shared.log.count(wanted)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("addr", &self.addr()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Serves one connection to its end.
    fn converse(&self, stream: Arc<TcpStream>, stopping: &Stop) {
        // Answers are written in few pieces; waiting for more would only add delays.
        let _ = stream.set_nodelay(true);
        let mut connection = Connection::new(stream);
        while connection.wait() {
            if self.script.take_unread() {
                let entry = self.log.open(&Request::default());
                return self.log.end(entry, End::Dropped);
            }
            let head = match connection.read_head() {
                Ok(head) => head,
                Err(Unreadable::Gone) => return,
                Err(Unreadable::Refused(status)) => {
                    let entry = self.log.open(&Request::default());
                    self.refuse(&connection, entry, status);
                    return;
                }
            };
            let entry = self.log.open(&head);
            let step = self.script.take(head.path());
            let exchange = Exchange { shared: self, connection: &mut connection, step, entry, stopping };
            if exchange.run(head) != Close::No {
                return;
            }
        }
    }

    fn refuse(&self, connection: &Connection, entry: Entry, status: u16) -> Close {
        self.log.end(entry, End::Answered(status));
        if connection.write(Response::new(status).head(Close::Announced).as_bytes()).is_ok() {
            connection.close_after_answer();
        }
        Close::Announced
    }
}

/// One request of which the head is known, on its way to an answer.
struct Exchange<'a> {
    shared: &'a Shared,
    connection: &'a mut Connection,
    step: Step,
    entry: Entry,
    stopping: &'a Stop,
}

impl Exchange<'_> {
    fn run(mut self, mut request: Request) -> Close {
        let Shared { log, service, .. } = self.shared;
        if self.step.cut == Some(Cut::AfterHead) {
            return self.end(End::Dropped);
        }
        if !self.step.early {
            match self.connection.read_body(&request) {
                Ok(body) => request.body = body,
                Err(Unreadable::Gone) => return self.end(End::ClientGone),
                Err(Unreadable::Refused(status)) => {
                    return self.shared.refuse(self.connection, self.entry, status);
                }
            }
        }
        log.content(self.entry, &request, service.carried(&request));

        if !self.step.before.pass(self.stopping) || self.step.cut == Some(Cut::BeforeProcessing) {
            return self.end(End::Dropped);
        }
        let mut response = self.step.answer.take().unwrap_or_else(|| {
            let (response, verdict) = service.process(&request);
            log.verdict(self.entry, verdict);
            response
        });
        if let Some(edit) = &self.step.edit {
            response = edit.apply(response);
        }
        if !self.step.after.pass(self.stopping) || self.step.cut == Some(Cut::AfterProcessing) {
            return self.end(End::Dropped);
        }
        self.answer(&request, &response)
    }

    fn answer(&self, request: &Request, response: &Response) -> Close {
        let close = match self.step.cut {
            Some(Cut::AfterAnswer | Cut::InBody(_)) => Close::Silent,
            _ if self.step.early || request.wants_close() => Close::Announced,
            _ => Close::No,
        };
        let (content, end) = match self.step.cut {
            _ if !response.has_content(&request.method) => (&[][..], End::Answered(response.status)),
            Some(Cut::InBody(length)) => {
                (response.body.get(..length).unwrap_or(&response.body), End::Cut(response.status))
            }
            _ => (&response.body[..], End::Answered(response.status)),
        };
        // First the log, then the answer: see `End::Answered`.
        self.end(end);
        if self.send(response.head(close), content).is_err() {
            return self.end(End::ClientGone);
        }
        if self.step.early {
            self.connection.close_after_answer();
        }
        close
    }

    fn send(&self, head: String, content: &[u8]) -> io::Result<()> {
        let mut bytes = head.into_bytes();
        let Some((size, pause)) = self.step.slow else {
            bytes.extend_from_slice(content);
            return self.connection.write(&bytes);
        };
        self.connection.write(&bytes)?;
        for piece in content.chunks(size) {
            if self.stopping.sleep(pause) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.connection.write(piece)?;
        }
        Ok(())
    }

    /// Notes how the request ended; what is left of the connection is worth nothing then, unless it was answered.
    fn end(&self, end: End) -> Close {
        self.shared.log.end(self.entry, end);
        Close::Silent
    }
}
