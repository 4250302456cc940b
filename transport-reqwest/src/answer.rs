//! Content of answers: looked at and put back.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use reqwest::{Body, Response, ResponseBuilderExt as _};

/// Reads the beginning of the content, and puts it back (CHAL-10).
pub(crate) async fn peek(mut response: Response, limit: usize) -> (Response, Vec<u8>) {
    let mut read = BytesMut::new();
    let mut error = None;
    while read.len() < limit && error.is_none() {
        match response.chunk().await {
            Ok(Some(chunk)) => read.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(broken) => error = Some(broken),
        }
    }
    let beginning = read.iter().copied().take(limit).collect();
    (with_content(response, |rest| Reread { beginning: read.freeze(), error, rest }), beginning)
}

/// The same answer with other content.
fn with_content(response: Response, change: impl FnOnce(Body) -> Reread) -> Response {
    // reqwest loses the address when an answer is taken apart, unless the answer is told.
    let mut address = http::Response::builder().url(response.url().clone());
    let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
    if let Some(extensions) = address.extensions_mut() {
        parts.extensions.extend(mem::take(extensions));
    }
    http::Response::from_parts(parts, Body::wrap(change(body))).into()
}

/// Content of which the beginning was read: that, then what broke if something did, then the rest.
struct Reread {
    beginning: Bytes,
    error: Option<reqwest::Error>,
    rest: Body,
}

impl http_body::Body for Reread {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        if !self.beginning.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.beginning)))));
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.beginning.is_empty() && self.error.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (read, rest) = (self.beginning.len() as u64, self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}
