use std::{
    collections::VecDeque,
    fmt,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use token_refresh_driver::Answer;

pin_project! {
    /// The content of an answer, as the service below yields it.
    pub struct ResponseBody<R: Body> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R: Body> {
        Untouched { #[pin] body: R },
        // The beginning was looked at, which is rare enough for a box.
        Begun { begun: Begun<R> },
    }
}

/// Content whose beginning was taken out, to be put back.
struct Begun<R: Body> {
    frames: VecDeque<Frame<R::Data>>,
    /// What broke it, after those frames.
    error: Option<R::Error>,
    rest: Pin<Box<R>>,
    ended: bool,
}

/// Looks at the beginning of the content of an answer.
pub(crate) struct Peek<R: Body> {
    begun: Begun<R>,
    beginning: Vec<u8>,
}

impl<R: Body> Peek<R> {
    pub(crate) fn new(body: R) -> Self {
        let begun = Begun { frames: VecDeque::new(), error: None, rest: Box::pin(body), ended: false };
        Self { begun, beginning: Vec::new() }
    }

    /// Ready once there is enough of it, or no more to come.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { begun, beginning } = self;
        while !begun.ended && begun.error.is_none() && beginning.len() < Answer::MAX_PEEK {
            match begun.rest.as_mut().poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => begun.ended = true,
                // What breaks here is the caller's to deal with, when it gets there.
                Poll::Ready(Some(Err(error))) => begun.error = Some(error),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        copy(data, beginning);
                    }
                    begun.frames.push_back(frame);
                }
            }
        }
        Poll::Ready(())
    }

    /// The beginning, and the content, whole.
    pub(crate) fn finish(self) -> (Vec<u8>, ResponseBody<R>) {
        (self.beginning, ResponseBody { kind: Kind::Begun { begun: self.begun } })
    }
}

/// Copies without consuming, as much as is needed.
fn copy(data: &impl Buf, beginning: &mut Vec<u8>) {
    let mut slices = [IoSlice::new(&[]); 16];
    let count = data.chunks_vectored(&mut slices);
    for slice in slices.iter().take(count) {
        let room = Answer::MAX_PEEK.saturating_sub(beginning.len());
        beginning.extend(slice.iter().take(room));
    }
}

impl<R: Body> ResponseBody<R> {
    pub(crate) fn new(body: R) -> Self {
        Self { kind: Kind::Untouched { body } }
    }
}

impl<R: Body> Body for ResponseBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let begun = match self.project().kind.project() {
            KindProjection::Untouched { body } => return body.poll_frame(context),
            KindProjection::Begun { begun } => begun,
        };
        if let Some(frame) = begun.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match begun.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None if begun.ended => Poll::Ready(None),
            None => begun.rest.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Begun { begun } => {
                begun.frames.is_empty() && begun.error.is_none() && begun.rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let begun = match &self.kind {
            Kind::Untouched { body } => return body.size_hint(),
            Kind::Begun { begun } => begun,
        };
        let frames = begun.frames.iter().filter_map(Frame::data_ref);
        let kept = frames.map(|data| data.remaining() as u64).sum::<u64>();
        let rest = begun.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(kept));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint
    }
}

impl<R: Body> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;

    /// Yields these, and then breaks.
    struct Source(VecDeque<&'static [u8]>);

    impl Body for Source {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            let data = self.0.pop_front().map(|data| Frame::data(Bytes::from_static(data)));
            Poll::Ready(Some(data.ok_or("broken")))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0.iter().map(|data| data.len() as u64).sum())
        }
    }

    fn next(body: &mut ResponseBody<Source>) -> Result<Bytes, &'static str> {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(frame)) = Pin::new(body).poll_frame(&mut context) else { panic!("no frame") };
        frame.map(|frame| frame.into_data().unwrap())
    }

    fn peeked(data: &[&'static [u8]]) -> (Vec<u8>, ResponseBody<Source>) {
        let mut peek = Peek::new(Source(data.iter().copied().collect()));
        assert!(peek.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        peek.finish()
    }

    #[test]
    fn chal_10_after_a_look_at_it_content_is_as_long_as_before_and_breaks_where_it_did() {
        let (beginning, mut body) = peeked(&[b"one", b"two"]);
        assert_eq!(beginning, b"onetwo");
        assert_eq!(body.size_hint().exact(), Some(6));
        assert!(!body.is_end_stream());
        assert_eq!([next(&mut body), next(&mut body)], [Ok("one".into()), Ok("two".into())]);
        assert!(!body.is_end_stream(), "the error is still to come");
        assert_eq!(next(&mut body), Err("broken"));
    }

    #[test]
    fn sec_06_no_more_is_looked_at_than_is_needed() {
        let (beginning, body) = peeked(&[&[b'x'; Answer::MAX_PEEK - 1], b"yyy", b"not read"]);
        assert_eq!(beginning.len(), Answer::MAX_PEEK);
        let Kind::Begun { begun } = body.kind else { panic!("it was looked at") };
        assert_eq!((begun.frames.len(), begun.rest.0.len()), (2, 1));
    }
}
