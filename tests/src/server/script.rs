//! What happens to the next requests besides what the server would do on its own.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Gate, Response, listener::Stop};

/// What happens to one request: `Step::new()` changes nothing, each method adds one thing.
///
/// In time: head read, content read, *before* (delay, then gate), processed, *after* (delay, then gate), answered.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Step {
    path: Option<String>,
    pub(super) early: bool,
    pub(super) before: Pause,
    pub(super) after: Pause,
    pub(super) cut: Option<Cut>,
    pub(super) answer: Option<Response>,
    pub(super) edit: Option<Edit>,
    pub(super) slow: Option<(usize, Duration)>,
}

impl Step {
    /// The next request, whatever it is, and nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for a request to this path (without query) and leaves other requests alone.
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Answers before the content is read, as if there were none, and closes the connection after. With
    /// `Expect: 100-continue` the answer comes in place of the interim one.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Waits before the request is processed.
    pub fn delay_before(mut self, delay: Duration) -> Self {
        self.before.delay = delay;
        self
    }

    /// Waits at a gate before the request is processed.
    pub fn hold_before(mut self, gate: &Gate) -> Self {
        self.before.gate = Some(gate.clone());
        self
    }

    /// Waits after the request was processed, before it is answered.
    pub fn delay_after(mut self, delay: Duration) -> Self {
        self.after.delay = delay;
        self
    }

    /// Waits at a gate after the request was processed, before it is answered.
    pub fn hold_after(mut self, gate: &Gate) -> Self {
        self.after.gate = Some(gate.clone());
        self
    }

    /// Closes the connection at this point.
    pub fn cut(mut self, at: Cut) -> Self {
        self.cut = Some(at);
        self
    }

    /// Answers this, and does not process the request: a refresh token in it is not spent.
    pub fn answer(mut self, response: Response) -> Self {
        self.answer = Some(response);
        self
    }

    /// Changes the answer, after the request was processed: a refresh token in it is spent.
    pub fn edit(mut self, edit: impl Fn(Response) -> Response + Send + Sync + 'static) -> Self {
        self.edit = Some(Edit(Arc::new(edit)));
        self
    }

    /// Sends the content of the answer `bytes` at a time, with this pause before each piece.
    pub fn slow(mut self, bytes: usize, pause: Duration) -> Self {
        self.slow = Some((bytes.max(1), pause));
        self
    }
}

/// Where a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// When the first byte has arrived, without reading it: the peer sees a reset. The request is not known yet, so
    /// [`Step::on`] means nothing here; the step is taken by the next request once it is the first in the queue.
    BeforeReading,
    /// When the head is read.
    AfterHead,
    /// When the request is read and [`Step::hold_before`] has passed: the server does not act on it.
    BeforeProcessing,
    /// When the server has acted on it and [`Step::hold_after`] has passed: a rotated refresh token is lost.
    AfterProcessing,
    /// After this many bytes of the answer's content. Its `Content-Length` announces all of it.
    InBody(usize),
    /// After the whole answer, which does not announce it: the peer keeps a dead connection.
    AfterAnswer,
}

/// A delay and a gate, in this order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pause {
    delay: Duration,
    gate: Option<Gate>,
}

impl Pause {
    /// `false`: the server stops.
    pub(super) fn pass(&self, stop: &Stop) -> bool {
        (self.delay.is_zero() || !stop.sleep(self.delay))
            && self.gate.as_ref().is_none_or(|gate| gate.pass(stop))
    }
}

/// A change to an answer.
#[derive(Clone)]
pub(super) struct Edit(Arc<dyn Fn(Response) -> Response + Send + Sync>);

impl Edit {
    pub(super) fn apply(&self, response: Response) -> Response {
        (self.0)(response)
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit(..)")
    }
}

/// The steps that no request has taken yet.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<VecDeque<Step>>);

impl Script {
    pub(super) fn push(&self, steps: impl IntoIterator<Item = Step>) {
        // Collected first: the iterator is foreign code and must not run under the lock.
        let steps: Vec<Step> = steps.into_iter().collect();
        self.steps().extend(steps);
    }

    /// Whether the next request is to be dropped unread; takes that step.
    pub(super) fn take_unread(&self) -> bool {
        let mut steps = self.steps();
        let unread = steps.front().is_some_and(|step| step.cut == Some(Cut::BeforeReading));
        if unread {
            steps.pop_front();
        }
        unread
    }

    /// The first step that waits for a request like this.
    pub(super) fn take(&self, path: &str) -> Step {
        let mut steps = self.steps();
        let fits = |step: &Step| {
            step.cut != Some(Cut::BeforeReading) && step.path.as_deref().is_none_or(|wanted| wanted == path)
        };
        let found = steps.iter().position(fits);
        found.and_then(|index| steps.remove(index)).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.steps().len()
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
