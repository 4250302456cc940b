//! Reading requests from a socket, whatever a peer may send, and writing to it.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use super::message::Request;

/// Longest head of a request, and longest trailer section, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most fields in a head.
const MAX_FIELDS: usize = 128;
/// Longest content of a request, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// How long to read on after the last answer, so that closing does not destroy it on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Why no request could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The peer closed the connection or it broke.
    Gone,
    /// The peer gets this status, and then the connection is closed: where the next request starts is not known.
    Refused(u16),
}

const MALFORMED: Unreadable = Unreadable::Refused(400);
const BODY_TOO_LONG: Unreadable = Unreadable::Refused(413);
const HEAD_TOO_LONG: Unreadable = Unreadable::Refused(431);
const UNKNOWN_CODING: Unreadable = Unreadable::Refused(501);

impl From<io::Error> for Unreadable {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// One connection and what was read from it ahead of need.
pub(super) struct Connection {
    // Shared with the listener, which shuts the socket down when the server stops.
    stream: Arc<TcpStream>,
    ahead: VecDeque<u8>,
}

impl Connection {
    pub(super) fn new(stream: Arc<TcpStream>) -> Self {
        Self { stream, ahead: VecDeque::new() }
    }

    /// Waits until the first byte of a request is there, without taking it from the socket. `false`: none will come.
    pub(super) fn wait(&self) -> bool {
        !self.ahead.is_empty() || self.stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0)
    }

    /// Reads the next head.
    pub(super) fn read_head(&mut self) -> Result<Request, Unreadable> {
        loop {
            if let Some((request, length)) = parse_head(self.ahead.make_contiguous())? {
                self.ahead.drain(..length);
                return Ok(request);
            }
            if self.ahead.len() >= MAX_HEAD {
                return Err(HEAD_TOO_LONG);
            }
            self.read_more()?;
        }
    }

    /// Reads the content that follows this head, and says before that it is welcome if the head asks for that.
    pub(super) fn read_body(&mut self, head: &Request) -> Result<Vec<u8>, Unreadable> {
        let framing = framing(head)?;
        if head.expects_continue() && self.ahead.is_empty() && framing != Framing::Length(0) {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match framing {
            Framing::Length(length) => self.take(length),
            Framing::Chunked => self.read_chunks(),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// Closes after an answer that left part of the request unread: the peer must be able to read the answer first,
    /// and closing a socket with unread bytes resets the connection.
    pub(super) fn close_after_answer(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(LINGER));
        let _ = io::copy(&mut (&*self.stream).take(MAX_BODY as u64), &mut io::sink());
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>, Unreadable> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line(MAX_HEAD)?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(MALFORMED);
            };
            if size == 0 {
                break;
            }
            let room = MAX_BODY - body.len();
            let size = usize::try_from(size).ok().filter(|size| *size <= room).ok_or(BODY_TOO_LONG)?;
            body.append(&mut self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(MALFORMED);
            }
        }
        let mut room = MAX_HEAD;
        loop {
            let line = self.take_line(room)?;
            if line == b"\r\n" {
                return Ok(body);
            }
            room -= line.len();
        }
    }

    /// Exactly `length` bytes. Memory grows with what arrives, not with what is announced.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, Unreadable> {
        while self.ahead.len() < length {
            self.read_more()?;
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// A line with the line feed that ends it.
    fn take_line(&mut self, limit: usize) -> Result<Vec<u8>, Unreadable> {
        loop {
            if let Some(end) = self.ahead.iter().take(limit).position(|byte| *byte == b'\n') {
                return self.take(end + 1);
            }
            if self.ahead.len() >= limit {
                return Err(HEAD_TOO_LONG);
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), Unreadable> {
        let mut bytes = [0; 16 * 1024];
        match (&*self.stream).read(&mut bytes)? {
            0 => Err(Unreadable::Gone),
            read => {
                self.ahead.extend(&bytes[..read]);
                Ok(())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// How long the content is (RFC 9112 §6.3), refusing every head on which two readers could disagree.
fn framing(head: &Request) -> Result<Framing, Unreadable> {
    let lengths: Vec<&str> = head.headers.all("content-length").collect();
    let codings: Vec<&str> = head.headers.all("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::Length(0)),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], _) => Err(UNKNOWN_CODING),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().ok().filter(|length| *length <= MAX_BODY).map(Framing::Length).ok_or(BODY_TOO_LONG)
        }
        _ => Err(MALFORMED),
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, Unreadable> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(HEAD_TOO_LONG);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(MALFORMED),
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        http_10: parsed.version == Some(0),
        ..Request::default()
    };
    for field in parsed.headers.iter() {
        request.headers.push(field.name, String::from_utf8_lossy(field.value));
    }
    Ok(Some((request, length)))
}
