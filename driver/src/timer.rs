use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use token_refresh_core::Timestamp;

use crate::Clock;

/// A sleep of whatever runtime there is, or of the [`Alarm`](crate::alarm::Alarm).
pub(crate) type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for instants of a session's clock. The sleep below it measures spans, perhaps by another clock, and may end
/// early; the session's clock has the last word.
#[derive(Default)]
pub(crate) struct Timer(Option<(Timestamp, Sleeping)>);

impl Timer {
    /// Whether the instant has come. `sleep` starts to wait for it.
    pub(crate) fn poll(
        &mut self,
        until: Timestamp,
        clock: &dyn Clock,
        sleep: impl Fn(Timestamp) -> Sleeping,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while clock.now() < until {
            let sleeping = match &mut self.0 {
                Some((known, sleeping)) if *known == until => sleeping,
                other => &mut other.insert((until, sleep(until))).1,
            };
            match sleeping.as_mut().poll(context) {
                Poll::Ready(()) => self.0 = None,
                // Time may have passed between the look at the clock and the beginning of the sleep.
                Poll::Pending if clock.now() < until => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        self.0 = None;
        Poll::Ready(())
    }

    /// Waits until the instant has come.
    pub(crate) async fn wait(until: Timestamp, clock: &dyn Clock, sleep: impl Fn(Timestamp) -> Sleeping) {
        let mut timer = Self::default();
        poll_fn(|context| timer.poll(until, clock, &sleep, context)).await;
    }

    /// Waits for the future until the instant that `deadline` says; asked anew each time, since it may move. `None` if
    /// the instant comes first.
    pub(crate) async fn limit<F: Future>(
        future: F,
        deadline: impl Fn() -> Timestamp,
        clock: &dyn Clock,
        sleep: impl Fn(Timestamp) -> Sleeping,
    ) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut timer = Self::default();
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            ready!(timer.poll(deadline(), clock, &sleep, context));
            Poll::Ready(None)
        })
        .await
    }
}
