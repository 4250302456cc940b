use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use token_refresh_core::Timestamp;

use crate::Clock;

/// A sleep of whatever runtime there is.
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

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use token_refresh_core::Timestamp;

    use super::{Sleeping, Timer};
    use crate::{Clock as _, ManualClock};

    /// How many sleeps it takes until five seconds are over, if each is like this.
    fn sleeps(sleep: impl Fn(&ManualClock) -> Sleeping) -> u32 {
        let clock = ManualClock::new(Timestamp::from_millis(1_000));
        let until = clock.now().after(Duration::from_secs(5));
        let begun = Cell::new(0);
        let sleep = |_| {
            begun.set(begun.get() + 1);
            sleep(&clock)
        };
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(Timer::default().poll(until, &clock, sleep, &mut context), Poll::Ready(()));
        begun.get()
    }

    #[test]
    fn time_that_passes_before_a_sleep_begins_is_not_slept_again() {
        let late = |clock: &ManualClock| -> Sleeping {
            clock.advance(Duration::from_secs(5));
            Box::pin(pending())
        };
        assert_eq!(sleeps(late), 1);
    }

    #[test]
    fn a_sleep_that_ends_early_is_followed_by_another() {
        let short = |clock: &ManualClock| -> Sleeping {
            clock.advance(Duration::from_secs(2));
            Box::pin(ready(()))
        };
        assert_eq!(sleeps(short), 3);
    }
}
