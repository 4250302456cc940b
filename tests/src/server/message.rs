//! Requests as they were read and responses as they are written.

use std::fmt::Write as _;

use serde_json::Value;

/// Header fields in the order in which they came; names compare without regard to case (RFC 9110 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all fields of this name, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }
}

/// A request as far as its head, and with its content once that has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// HTTP/1.0 clients do not expect the connection to stay open.
    pub(super) http_10: bool,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The token of an `Authorization: Bearer` field (RFC 6750 §2.1).
    pub(super) fn bearer(&self) -> Option<&str> {
        credentials(&self.headers, "bearer")
    }

    pub(super) fn wants_close(&self) -> bool {
        let close = |value: &str| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        self.http_10 || self.headers.all("connection").any(close)
    }

    pub(super) fn expects_continue(&self) -> bool {
        self.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// What follows the scheme in `Authorization`, if the scheme is this one.
pub(super) fn credentials<'a>(headers: &'a Headers, scheme: &str) -> Option<&'a str> {
    let (found, credentials) = headers.get("authorization")?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(credentials.trim())
}

/// An answer. `Content-Length` is added unless the fields already frame the content, rightly or wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
    /// The content. Not sent in answer to `HEAD`, nor with 1xx, 204 and 304.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without fields and content.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Vec::new() }
    }

    /// An answer with JSON content.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status).header("Content-Type", "application/json").body(value.to_string())
    }

    /// Adds a field. An earlier one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Removes all fields of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Replaces the content.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The head as it goes over the wire, with the empty line that ends it.
    pub(super) fn head(&self, close: Close) -> String {
        let mut head = format!("HTTP/1.1 {} \r\n", self.status);
        let mut field = |name: &str, value: &str| {
            let clean = |text: &str| text.replace(['\r', '\n', '\0'], " ");
            // Writing to a `String` cannot fail.
            let _ = write!(head, "{}: {}\r\n", clean(name), clean(value));
        };
        for (name, value) in self.headers.iter() {
            field(name, value);
        }
        let framed =
            ["content-length", "transfer-encoding"].iter().any(|name| self.headers.get(name).is_some());
        if !framed && self.status >= 200 && self.status != 204 {
            field("Content-Length", &self.body.len().to_string());
        }
        if close == Close::Announced && self.headers.get("connection").is_none() {
            field("Connection", "close");
        }
        head.push_str("\r\n");
        head
    }

    pub(super) fn has_content(&self, method: &str) -> bool {
        method != "HEAD" && self.status >= 200 && !matches!(self.status, 204 | 304)
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// It stays open.
    No,
    /// It is closed, and the answer says so.
    Announced,
    /// It is closed, and the answer does not say so.
    Silent,
}
