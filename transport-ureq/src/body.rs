use std::io::{self, Read};

use bytes::Bytes;
use ureq::{
    SendBody,
    http::{HeaderMap, Request, header, request::Parts},
};

/// Content that [`AuthAgent`](crate::AuthAgent) can send, and whether it can send it twice.
///
/// Implemented for what is in memory: `()` for no content, `&str`, `String`, `&[u8]`, `Vec<u8>`, [`Bytes`].
/// For everything else there is [`OneShot`].
pub trait ReplayBody {
    /// The content, from its beginning.
    fn source(&mut self) -> Source<'_>;

    /// Whether [`source`](Self::source) yields all of the content, still or again.
    fn is_whole(&self) -> bool {
        true
    }

    /// Whether the content can be sent only once, so that it had better go with a token that is not about to end
    /// (RPLY-07).
    fn is_one_shot(&self) -> bool {
        false
    }
}

/// Where content comes from.
pub enum Source<'a> {
    /// There is none.
    Empty,
    /// From memory.
    Bytes(&'a [u8]),
    /// From a reader.
    Reader {
        /// The reader.
        reader: &'a mut dyn Read,
        /// How many bytes it yields, if that is known. If not, the content is sent in chunks.
        length: Option<u64>,
    },
}

impl Source<'_> {
    /// Makes a request of it, for ureq.
    pub(crate) fn with<R>(self, mut parts: Parts, run: impl FnOnce(Request<SendBody<'_>>) -> R) -> R {
        match self {
            Self::Empty => run(Request::from_parts(parts, SendBody::none())),
            Self::Bytes(mut content) => {
                announce(content.len() as u64, &mut parts.headers);
                run(Request::from_parts(parts, SendBody::from_reader(&mut content)))
            }
            Self::Reader { reader, length } => {
                if let Some(length) = length {
                    announce(length, &mut parts.headers);
                }
                run(Request::from_parts(parts, SendBody::from_reader(reader)))
            }
        }
    }
}

/// ureq cannot see how long a reader is, and would send it in chunks.
fn announce(length: u64, headers: &mut HeaderMap) {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
}

impl ReplayBody for () {
    fn source(&mut self) -> Source<'_> {
        Source::Empty
    }
}

macro_rules! in_memory {
    ($($body:ty),*) => {
        $(impl ReplayBody for $body {
            fn source(&mut self) -> Source<'_> {
                Source::Bytes((**self).as_ref())
            }
        })*
    };
}

in_memory!(&[u8], &str, String, Vec<u8>, Bytes);

/// Content that can be read once: a file, a pipe, the content of another answer.
///
/// A refused request with such content is not sent again, but the token is refreshed, so that the next one works
/// (RPLY-03). The exception: if the server refuses before it has asked for the content, which it can do if the request
/// says `Expect: 100-continue`, nothing has been read yet, and the request is sent again (RPLY-07).
#[derive(Debug)]
pub struct OneShot<R> {
    reader: Watched<R>,
    length: Option<u64>,
}

impl<R: Read> OneShot<R> {
    /// Content of a length that is not known.
    pub fn new(reader: R) -> Self {
        Self { reader: Watched { reader, touched: false }, length: None }
    }

    /// Content of this many bytes, so that the request can say `Content-Length`.
    #[must_use]
    pub fn with_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }
}

impl<R: Read> ReplayBody for OneShot<R> {
    fn source(&mut self) -> Source<'_> {
        Source::Reader { reader: &mut self.reader, length: self.length }
    }

    fn is_whole(&self) -> bool {
        !self.reader.touched
    }

    fn is_one_shot(&self) -> bool {
        true
    }
}

/// A reader that remembers whether anybody has read from it.
#[derive(Debug)]
struct Watched<R> {
    reader: R,
    touched: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.touched = true;
        self.reader.read(buffer)
    }
}
