//! The async side of a session: its callers are futures, and any executor may poll them.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use token_refresh_core::{Machine, Timestamp, TokenId};

use crate::{
    Error, Session, Token,
    engine::Engine,
    wait::{Demand, Limited, Settled},
};

/// For async programs. The rule is one: what may wait has a twin whose name ends in `_async`, and the rest never waits.
///
/// The futures belong to no runtime, are `Send` and `'static`, and do nothing until they are polled. Dropping one takes
/// its caller out of the queue and does nothing else: a refresh that is under way goes on (CORE-14). So a `select!` or
/// a timeout around them is safe.
///
/// All of this works on a session however it was built, also while other callers block. In a task never call what
/// blocks: it may wait for a task that cannot run meanwhile.
impl Session {
    /// As [`token`](Self::token): a usable token, at once while the current one is good, or else after the refresh
    /// under way. Waits at most the [time limit](crate::SessionBuilder::time_limit) of the session, or
    /// [another one](TokenFuture::within).
    ///
    /// The future yields [`Error::Failed`] if there is no token to be had now, or [`Error::TimedOut`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels this caller's wait and nothing else. A refresh it began goes on.
    pub fn token_async(&self) -> TokenFuture {
        TokenFuture::new(self, None)
    }

    /// As [`fresh_token_within`](Self::fresh_token_within): for a request that can be sent only once (RPLY-07), a token that
    /// is not about to end, or else the present one. Waits at most the time limit of the session.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no token to be had now; [`Error::TimedOut`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels this caller's wait and nothing else. A refresh it began goes on.
    pub fn fresh_token_async(&self) -> impl Future<Output = Result<Token, Error>> + Send + use<> {
        let session = self.clone();
        async move {
            let end = session.engine().clock.now().after(session.time_limit());
            let token = session.token_async().await?;
            if let Some(patience) = session.patience(end) {
                // Whatever comes of it.
                let _ = session.settle_async(patience).await;
            }
            Ok(session.current().unwrap_or(token))
        }
    }

    /// As [`reject`](Self::reject): the server refused this token; a newer one. The refusal is reported when the future
    /// is first polled. For a request that cannot be repeated,
    /// [`reject_within`](Self::reject_within) with a limit of zero reports it and never waits.
    ///
    /// The future yields [`Error::Failed`] if there is no newer token to be had now, or [`Error::TimedOut`].
    ///
    /// # Cancel safety
    /// Dropping the future cancels this caller's wait and nothing else. A refresh it began goes on, and the token stays
    /// refused.
    pub fn reject_async(&self, token: TokenId) -> TokenFuture {
        TokenFuture::new(self, Some(token))
    }

    /// As [`settle`](Self::settle): waits until nothing is under way and nothing is owed to the store. For use at
    /// shutdown, before the runtime is shut down.
    ///
    /// The future yields [`Error::TimedOut`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and changes nothing.
    pub fn settle_async(&self, limit: Duration) -> SettleFuture {
        let engine = Arc::clone(self.engine());
        SettleFuture(Wait::new(Settled::new(Arc::clone(&engine)), engine, limit))
    }
}

/// A token to come: of [`Session::token_async`] and [`Session::reject_async`].
#[must_use = "futures do nothing unless polled"]
pub struct TokenFuture {
    engine: Arc<Engine>,
    limit: Duration,
    refused: Option<TokenId>,
    /// `None` until it is polled.
    wait: Option<Wait<Demand>>,
}

impl TokenFuture {
    fn new(session: &Session, refused: Option<TokenId>) -> Self {
        let engine = Arc::clone(session.engine());
        Self { engine, limit: session.time_limit(), refused, wait: None }
    }

    /// With this time limit, instead of the session's (CORE-13). It counts from the first poll.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn demand(&self) -> Wait<Demand> {
        let demand = match self.refused {
            None => self.engine.demand(Machine::acquire),
            Some(token) => self.engine.demand(|machine, now| machine.reject(token, now)),
        };
        Wait::new(demand, Arc::clone(&self.engine), self.limit)
    }
}

impl Future for TokenFuture {
    type Output = Result<Token, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.wait.is_none() {
            let fresh = || self.engine.published.fresh(self.engine.clock.now());
            if let Some(token) = self.refused.is_none().then(fresh).flatten() {
                return Poll::Ready(Ok(token));
            }
        }
        let demanded = self.wait.take();
        let wait = demanded.unwrap_or_else(|| self.demand());
        Pin::new(self.wait.insert(wait)).poll(context).map(|answer| Ok(answer.ok_or(Error::TimedOut)??))
    }
}

/// The end of everything that is under way or owed: of [`Session::settle_async`].
#[must_use = "futures do nothing unless polled"]
pub struct SettleFuture(Wait<Settled>);

impl Future for SettleFuture {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|settled| settled.ok_or(Error::TimedOut))
    }
}

/// The twin of [`blocking::wait`](crate::blocking::wait): the future's output, or `None` once the limit has passed.
///
/// The session's [`Vigil`](crate::vigil::Vigil) keeps its time.
struct Wait<F> {
    future: F,
    engine: Arc<Engine>,
    limit: Duration,
    /// Counts from the first poll.
    deadline: Option<Timestamp>,
    /// Whether the session knows the deadline.
    known: bool,
}

impl<F> Wait<F> {
    fn new(future: F, engine: Arc<Engine>, limit: Duration) -> Self {
        Self { future, engine, limit, deadline: None, known: false }
    }
}

impl<F: Limited> Future for Wait<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, engine, limit, deadline, known } = &mut *self;
        let deadline = *deadline.get_or_insert_with(|| engine.clock.now().after(*limit));
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(context) {
            return Poll::Ready(Some(output));
        }
        if engine.clock.now() >= deadline {
            return Poll::Ready(None);
        }
        if std::mem::replace(known, true) {
            engine.tick();
        } else {
            future.limit(deadline);
        }
        Poll::Pending
    }
}

impl fmt::Debug for TokenFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFuture").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl fmt::Debug for SettleFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleFuture").finish_non_exhaustive()
    }
}
