//! Content that cannot be cloned, sent twice.
#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use token_refresh_hyper::{Capture, CloneBody as _};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// Yields these, and says how much is left.
struct Source(VecDeque<Frame<Bytes>>);

impl Body for Source {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
    }
}

fn source(pieces: &[&'static str], trailers: bool) -> BoxBody {
    let mut frames: VecDeque<_> =
        pieces.iter().map(|piece| Frame::data(Bytes::copy_from_slice(piece.as_bytes()))).collect();
    if trailers {
        let mut fields = HeaderMap::new();
        fields.insert("x-checksum", "17".parse().unwrap());
        frames.push_back(Frame::trailers(fields));
    }
    BoxBody::new(Source(frames).map_err(Into::into))
}

fn next(body: &mut BoxBody) -> Option<Frame<Bytes>> {
    body.frame().now_or_never().unwrap().transpose().unwrap()
}

fn data(body: &mut BoxBody) -> Bytes {
    next(body).unwrap().into_data().unwrap()
}

#[test]
fn rply_02_the_second_time_the_same_frames_come_with_the_same_length() {
    let capture = Capture::new(100, BoxBody::new);
    let (mut first, copy) = capture.copy(source(&["one", "two", "three"], true));
    assert_eq!(first.size_hint().exact(), Some(11));
    while next(&mut first).is_some() {}
    assert!(first.is_end_stream());

    let mut second = capture.restore(copy).unwrap();
    assert_eq!(second.size_hint().exact(), Some(11));
    assert!(!second.is_end_stream());
    assert_eq!([data(&mut second), data(&mut second), data(&mut second)], ["one", "two", "three"]);
    assert_eq!(next(&mut second).unwrap().into_trailers().unwrap()["x-checksum"], "17");
    assert!(next(&mut second).is_none() && second.is_end_stream());
}

/// The refusal came before everything was sent.
#[test]
fn the_repetition_goes_on_where_the_first_attempt_was_interrupted() {
    let capture = Capture::new(100, BoxBody::new);
    let (mut first, copy) = capture.copy(source(&["one", "two", "three"], false));
    assert_eq!(data(&mut first), "one");
    assert_eq!(first.size_hint().exact(), Some(8));

    let mut second = capture.restore(copy).unwrap();
    assert_eq!(second.size_hint().exact(), Some(11));
    let cut_off = first.frame().now_or_never().unwrap().unwrap();
    assert!(cut_off.is_err(), "the first attempt must not look complete");
    assert_eq!([data(&mut second), data(&mut second), data(&mut second)], ["one", "two", "three"]);
    assert!(next(&mut second).is_none());
}

#[test]
fn rply_03_content_beyond_the_limit_is_sent_whole_and_not_repeated() {
    let capture = Capture::new(6, BoxBody::new);
    let (mut first, copy) = capture.copy(source(&["one", "two", "three", "four"], false));
    let sent: Vec<_> = (0..4).map(|_| data(&mut first)).collect();
    assert_eq!(sent, ["one", "two", "three", "four"]);
    assert!(sent.iter().all(Bytes::is_unique), "what cannot be used is not kept");
    assert!(next(&mut first).is_none());
    assert!(capture.restore(copy).is_none());
}

#[test]
fn content_at_the_limit_is_repeated() {
    let capture = Capture::new(6, BoxBody::new);
    let (mut first, copy) = capture.copy(source(&["one", "two"], false));
    while next(&mut first).is_some() {}
    assert!(capture.restore(copy).is_some());
}

/// Nothing is read before the connection asks for it.
#[test]
fn nothing_is_read_ahead() {
    let (_first, copy) = Capture::new(100, BoxBody::new).copy(source(&["one"], false));
    assert_eq!(format!("{copy:?}"), "Captured { position: 0, .. }");
    assert_eq!(copy.size_hint().exact(), Some(3));
}
