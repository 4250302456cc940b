use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::CloneBody;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps what is sent of the content, up to a limit, so that content that cannot be cloned can be sent twice: boxed
/// bodies, and those of tonic.
///
/// ```
/// use token_refresh_hyper::Capture;
///
/// // 64 KiB of each call's messages are kept; longer calls are sent, but not repeated.
/// let for_tonic = Capture::new(64 * 1024, tonic::body::Body::new);
/// # use token_refresh_hyper::CloneBody;
/// # fn check(_: impl CloneBody<tonic::body::Body>) {}
/// # check(for_tonic);
/// ```
///
/// Nothing is read ahead: a stream stays one. The repetition sends what was kept and goes on with what was not yet sent.
/// From then on the first attempt can send no more, and breaks if it tries.
#[derive(Clone, Copy, Debug)]
pub struct Capture<F> {
    limit: usize,
    rebox: F,
}

/// Content that is being kept: what [`Capture`] sends in place of the original.
pub struct Captured<B> {
    tape: Arc<Mutex<Tape<B>>>,
    /// Which attempt this is the content of.
    attempt: u32,
    /// The next frame to be sent.
    position: usize,
}

/// What both attempts share.
struct Tape<B> {
    source: B,
    frames: Vec<Kept>,
    /// How many more bytes may be kept; `None` if there were too many, and nothing is kept any more.
    room: Option<usize>,
    /// Which attempt may read.
    attempt: u32,
}

#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// The content was taken over by the repetition of the request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request was refused, and its content is sent again in another attempt")]
struct TakenOver;

impl<F> Capture<F> {
    /// Keeps up to `limit` bytes of a request's content; `rebox` makes of the captured content a body of the type that
    /// it was.
    pub fn new(limit: usize, rebox: F) -> Self {
        Self { limit, rebox }
    }
}

impl<B, F> CloneBody<B> for Capture<F>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    F: Fn(Captured<B>) -> B,
{
    type Copy = Captured<B>;

    fn copy(&self, body: B) -> (B, Captured<B>) {
        let tape = Tape { source: body, frames: Vec::new(), room: Some(self.limit), attempt: 1 };
        let tape = Arc::new(Mutex::new(tape));
        let of_attempt = |attempt| Captured { tape: Arc::clone(&tape), attempt, position: 0 };
        ((self.rebox)(of_attempt(1)), of_attempt(2))
    }

    fn restore(&self, copy: Captured<B>) -> Option<B> {
        let mut tape = copy.tape();
        tape.room?;
        tape.attempt = copy.attempt;
        drop(tape);
        Some((self.rebox)(copy))
    }

    /// What says that it is longer than what is kept.
    fn is_one_shot(&self, copy: &Captured<B>) -> bool {
        copy.tape().source.size_hint().lower() > self.limit as u64
    }
}

impl<B> Captured<B> {
    fn tape(&self) -> MutexGuard<'_, Tape<B>> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body<Data = Bytes>> Tape<B> {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let size = frame.data_ref().map_or(0, Bytes::len);
        self.room = self.room.and_then(|room| room.checked_sub(size));
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(trailers.clone()),
            (None, None) => return,
        };
        self.frames.push(kept);
        if self.room.is_none() {
            self.frames.clear();
        }
    }
}

impl Kept {
    fn frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data.clone()),
            Self::Trailers(trailers) => Frame::trailers(trailers.clone()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl<B> Body for Captured<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let shared = Arc::clone(&self.tape);
        let mut tape = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if tape.attempt != self.attempt {
            return Poll::Ready(Some(Err(TakenOver.into())));
        }
        if let Some(kept) = tape.frames.get(self.position) {
            self.position += 1;
            return Poll::Ready(Some(Ok(kept.frame())));
        }
        let Some(frame) = ready!(Pin::new(&mut tape.source).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Into::into)?;
        if tape.room.is_some() {
            tape.keep(&frame);
        }
        self.position = tape.frames.len();
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let tape = self.tape();
        self.position >= tape.frames.len() && tape.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let tape = self.tape();
        let kept: usize = tape.frames.iter().skip(self.position).map(Kept::len).sum();
        let (kept, rest) = (kept as u64, tape.source.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(kept));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint
    }
}

impl<B> fmt::Debug for Captured<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("position", &self.position).finish_non_exhaustive()
    }
}
