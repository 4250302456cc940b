use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// Ready once a record may have changed: what a store that hears of commits gives to a session that waits for another
/// process, which then loads at once instead of at the end of its pause.
///
/// It decides nothing. One that is late or lost costs a pause, and one that comes without a change costs a load.
#[must_use = "dropping it ends the listening"]
pub struct Changed(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Changed {
    /// Nothing is heard: the session looks again and again.
    pub const fn never() -> Self {
        Self(None)
    }

    /// Once this is ready. It must not depend on which runtime polls it, or whether one does; dropping it must end the
    /// listening.
    pub fn when(heard: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(heard)))
    }
}

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(heard) = &mut self.0 else { return Poll::Pending };
        heard.as_mut().poll(context)
    }
}

impl fmt::Debug for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}
