//! A client that hides nothing: what it is told to write goes out, what comes back is split and shown.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use token_refresh_conformance::server::{AuthorizationServer, ResourcePolicy, ResourceServer};

/// Longer than anything here takes; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Client(BufReader<TcpStream>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The connection ended before the content did.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// A member of the JSON object that is a string.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no text {name}")).to_owned()
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("time limit");
        Self(BufReader::new(stream))
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A connection that the server has broken shows in the answer.
        let _ = self.0.get_mut().write_all(bytes.as_ref());
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        let _ = self.0.get_ref().shutdown(std::net::Shutdown::Write);
    }

    /// Reads an answer; `None` if the connection ends or breaks before a complete head.
    pub(crate) fn read(&mut self) -> Option<Answer> {
        self.read_answer_to("GET")
    }

    pub(crate) fn read_answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if broken(self.0.read_line(&mut head)) {
                return None;
            }
        }
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("a status line");
        let status = status.parse().expect("a status");
        let mut answer = Answer { status, head, body: Vec::new(), cut: false };
        let length = answer.field("content-length").map_or(0, |length| length.parse().expect("length"));
        if method != "HEAD" {
            while answer.body.len() < length && !answer.cut {
                let mut byte = [0];
                answer.cut = broken(self.0.read(&mut byte));
                answer.body.extend(byte.iter().filter(|_| !answer.cut));
            }
        }
        Some(answer)
    }

    /// Whether the server has closed the connection, cleanly or not.
    pub(crate) fn is_closed(&mut self) -> bool {
        broken(self.0.read(&mut [0]))
    }

    /// Whether the server has closed the connection without a reset, which could destroy an answer on its way.
    pub(crate) fn is_closed_cleanly(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|bytes| bytes == 0)
    }
}

fn broken(read: io::Result<usize>) -> bool {
    match read {
        Ok(bytes) => bytes == 0,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            panic!("the server neither answers nor closes")
        }
        Err(_) => true,
    }
}

/// Both servers, with these rules for the resource server.
pub(crate) fn servers(policy: ResourcePolicy) -> (AuthorizationServer, ResourceServer) {
    let auth =
        AuthorizationServer::start(token_refresh_conformance::server::Policy::default()).expect("auth");
    let api = ResourceServer::start("api", &auth, policy).expect("api");
    (auth, api)
}

/// A request for a resource.
pub(crate) fn get(target: &str, token: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A POST with a content and further fields, each with its line end.
pub(crate) fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: auth\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
}

/// A form, with further fields.
pub(crate) fn form(target: &str, fields: &str, body: &str) -> String {
    post(target, &format!("Content-Type: application/x-www-form-urlencoded\r\n{fields}"), body)
}

/// The refresh grant.
pub(crate) fn refresh(refresh_token: &str) -> String {
    form("/token", "", &format!("grant_type=refresh_token&refresh_token={refresh_token}"))
}

/// One request on a connection of its own.
pub(crate) fn ask(addr: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut client = Client::connect(addr);
    client.write(request);
    client.read()
}

/// Presents a refresh token.
pub(crate) fn exchange(auth: &AuthorizationServer, refresh_token: &str) -> Answer {
    ask(auth.addr(), refresh(refresh_token)).expect("an answer")
}

/// The status that the resource server has for an access token.
pub(crate) fn status(api: &ResourceServer, access_token: &str) -> u16 {
    ask(api.addr(), get("/things/17", access_token)).expect("an answer").status
}
