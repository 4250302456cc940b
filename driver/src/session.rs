use std::{fmt, sync::Arc, time::Duration};

use token_refresh_core::{ConfigWarning, Grant, Machine, Notice, State, Timestamp, TokenId};

use crate::{
    Error, SessionBuilder, Subscription, Token,
    blocking::wait,
    engine::Engine,
    wait::{Demand, Settled},
};

/// One credential and everybody who uses it: the handle that a program holds. Cheap to clone; clones are one session.
///
/// Sessions know nothing of each other: one that waits or has failed holds up no other (CORE-18).
///
/// When the last handle is gone, a refresh that is under way still ends, and what is owed to the store is still paid.
#[derive(Clone)]
pub struct Session {
    engine: Arc<Engine>,
    time_limit: Duration,
}

/// Tokens.
impl Session {
    /// Starts to put a session together.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::new()
    }

    pub(crate) fn new(engine: Arc<Engine>, time_limit: Duration) -> Self {
        Self { engine, time_limit }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How long [`token`](Self::token) and [`reject`](Self::reject) wait at most: for an adapter whose request has a limit
    /// of its own, which may be shorter.
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// Whether what it has is in a store, too.
    pub(crate) fn has_store(&self) -> bool {
        self.engine.has_store()
    }

    /// A usable token: at once while the current one is good, or else after the refresh under way, of which there is
    /// never more than one (CORE-01). Waits at most the [time limit](SessionBuilder::time_limit) of the session.
    ///
    /// A fresh token costs a look at the clock and a count of references: no lock, no allocation, and nothing that other
    /// threads would have to wait for.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no token to be had now; [`Error::TimedOut`].
    pub fn token(&self) -> Result<Token, Error> {
        self.token_within(self.time_limit)
    }

    /// As [`token`](Self::token), within the caller's own time limit (CORE-13).
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no token to be had now; [`Error::TimedOut`].
    pub fn token_within(&self, limit: Duration) -> Result<Token, Error> {
        if let Some(token) = self.engine.published.fresh(self.engine.clock.now()) {
            return Ok(token);
        }
        self.answer(self.engine.demand(Machine::acquire), limit)
    }

    /// As [`token_within`](Self::token_within), for a request that can be sent only once (RPLY-07): a token that is about to
    /// end is replaced before, if the refresh in the background ends within the limit. If not, or if it fails, the
    /// present token has to do.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no token to be had now; [`Error::TimedOut`].
    pub fn fresh_token_within(&self, limit: Duration) -> Result<Token, Error> {
        let end = self.engine.clock.now().after(limit);
        let token = self.token_within(limit)?;
        if let Some(patience) = self.patience(end) {
            // Whatever comes of it.
            let _ = self.settle(patience);
        }
        Ok(self.current().unwrap_or(token))
    }

    /// How long to wait for the refresh that the demand for a token has begun, if there is one; not for a store that is
    /// down.
    pub(crate) fn patience(&self, end: Timestamp) -> Option<Duration> {
        let now = self.engine.clock.now();
        let refresh = || self.engine.call(|inner, _| inner.machine.config().term());
        self.engine.published.fresh(now).is_none().then(|| end.since(now).min(refresh()))
    }

    /// The server refused this token: a newer one. If there is one already, at once, and nothing is started (CORE-04).
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no newer token to be had now; [`Error::TimedOut`].
    pub fn reject(&self, token: TokenId) -> Result<Token, Error> {
        self.reject_within(token, self.time_limit)
    }

    /// As [`reject`](Self::reject), within the caller's own time limit. A limit of zero reports the refusal, so that
    /// the refresh begins, and waits for nothing: for a request that cannot be repeated.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no newer token to be had now; [`Error::TimedOut`].
    pub fn reject_within(&self, token: TokenId, limit: Duration) -> Result<Token, Error> {
        self.answer(self.engine.demand(|machine, now| machine.reject(token, now)), limit)
    }

    /// The server took this token: it answered with anything but a refusal. Cheap; call it for every such answer, since
    /// the breaker counts tokens that were never taken (CORE-12).
    pub fn accept(&self, token: TokenId) {
        if self.engine.published.is_news(token) {
            self.engine.call(|inner, now| inner.machine.accept(token, now));
        }
    }

    /// The token that callers were given last, if it was neither refused nor withdrawn. It may have expired. Starts
    /// nothing and waits for nothing.
    pub fn current(&self) -> Option<Token> {
        self.engine.published.get()
    }

    /// The scope of the [`current`](Self::current) token, if the server said so (XRSP-06).
    pub fn scope(&self) -> Option<String> {
        self.engine.published.scope()
    }

    fn answer(&self, demand: Demand, limit: Duration) -> Result<Token, Error> {
        Ok(wait(&self.engine, demand, limit).ok_or(Error::TimedOut)??)
    }
}

/// The session itself.
impl Session {
    /// A new identity, with the tokens it came with. Legal in every state; whoever still waits for a token of the old
    /// one is failed at once (SESS-01).
    pub fn sign_in(&self, grant: Grant) {
        self.engine.call(|inner, now| inner.machine.sign_in(grant, now));
    }

    /// The end of this identity. It takes effect at once; the store is told and the refresh token revoked in the
    /// background, for half a minute at most if the server is away (SESS-05), see [`settle`](Self::settle).
    pub fn sign_out(&self) {
        self.engine.call(|inner, now| inner.machine.sign_out(now));
    }

    /// The credential in plain, refresh token included: for a program that keeps it itself, without a
    /// [`store`](SessionBuilder::store), and signs in with it at its next start. `None` if there is none.
    ///
    /// Call [`settle`](Self::settle) before: a refresh under way replaces the refresh token. And use the grant in one place
    /// only, since a server may take the second presentation of a refresh token for theft.
    ///
    /// The lifetime of the grant is what is left of it now.
    pub fn export_grant(&self) -> Option<Grant> {
        self.engine.call(|inner, now| {
            let (grant, obtained_at) = inner.machine.grant()?;
            let age = now.since(obtained_at);
            let left = grant.lifetime().map(|lifetime| lifetime.saturating_sub(age));
            Some(left.into_iter().fold(grant.clone(), Grant::with_lifetime))
        })
    }

    /// What is worth a line in a log at the start: a configuration that works, but not as one may expect (RETRY-06).
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        self.engine.call(|inner, _| inner.machine.config().warnings().collect())
    }

    /// Forgets a failure, so that the next demand tries again: after the configuration was mended, say.
    pub fn reset(&self) {
        self.engine.call(|inner, now| inner.machine.reset(now));
    }

    /// What the session is doing.
    pub fn state(&self) -> State {
        self.engine.state()
    }

    /// Calls `observer` for everything that happens from now on, in order, each once (OBS-01).
    ///
    /// It is called in the background with no lock held, so it holds up no caller and may use the session. A panic in
    /// it is contained. An observer that falls thousands of notices behind misses some. In an
    /// [async](SessionBuilder::asynchronous) session it is called in a task, so it must not block.
    pub fn subscribe(&self, observer: impl Fn(&Notice) + Send + Sync + 'static) -> Subscription {
        self.engine.observers.subscribe(Arc::new(observer))
    }

    /// Waits until nothing is under way and nothing is owed to the store: for use at shutdown. A revocation under way
    /// is waited for, too. Starts nothing but what is owed.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub fn settle(&self, limit: Duration) -> Result<(), Error> {
        wait(&self.engine, Settled::new(Arc::clone(&self.engine)), limit).ok_or(Error::TimedOut)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.current().map(|token| token.id());
        let name = &self.engine.telemetry.session;
        f.debug_struct("Session")
            .field("name", name)
            .field("token", &token)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
