use std::{sync::Arc, time::Duration};

use token_refresh_core::{AmbiguousPolicy, Config, ConfigError, Machine, Persistence, Renewal};

use crate::{
    AsyncStore, AsyncTransport, Clock, Profile, Session, Sleep, Spawn, Store, SystemClock, Transport,
    asynchronous::{AnyStore, Tasks},
    blocking::Threads,
    engine::{Engine, Runner},
    on_thread::OnThread,
    telemetry::Telemetry,
};

/// Puts a [`Session`] together.
pub struct SessionBuilder {
    config: Config,
    clock: Arc<dyn Clock>,
    store: Option<Shared>,
    time_limit: Duration,
    telemetry: Telemetry,
}

/// The store, of either kind.
enum Shared {
    Blocking(Box<dyn Store>),
    Async(Box<dyn AnyStore>),
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no random number.
    #[error("the operating system gave no random number")]
    NoRandomness,
    /// Threads cannot wait for an async store.
    #[error("a blocking session cannot use an async store; build the session with `asynchronous`")]
    AsyncStore,
    /// What [`Sessions`](crate::Sessions) let go of would be lost.
    #[error("a session in a table needs a store, such as `store::MemoryTable`; give it one with `store`")]
    NoStore,
}

impl SessionBuilder {
    pub(crate) fn new() -> Self {
        Self {
            config: Config::default(),
            clock: Arc::new(SystemClock::new()),
            store: None,
            time_limit: Duration::from_secs(30),
            telemetry: Telemetry::default(),
        }
    }

    /// Numbers and policies of the machine. Default: [`Config::default`]. Its `persistence` and `renewal` are set by
    /// the store and the profile.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where time comes from. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Share the credential with other processes through this store. Default: none, the credential lives in this
    /// session alone.
    #[must_use]
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Shared::Blocking(Box::new(store)));
        self
    }

    /// Share the credential with other processes through this store. Replaces an earlier one of either kind.
    #[must_use]
    pub fn async_store(mut self, store: impl AsyncStore + 'static) -> Self {
        self.store = Some(Shared::Async(Box::new(store)));
        self
    }

    /// Names the session in logs and metrics, and in its `Debug`, for a program that has several. Default: no name.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.telemetry.session = Some(name.into());
        self
    }

    /// How long [`Session::token`] and [`Session::reject`] wait at most. Default: 30 s (CORE-13).
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// A session whose refreshes run on threads, one at a time, each only for as long as its refresh.
    ///
    /// # Errors
    /// [`BuildError`]; its text says what to change.
    pub fn blocking(
        mut self,
        transport: impl Transport + 'static,
        profile: impl Profile + 'static,
    ) -> Result<Session, BuildError> {
        let store = match self.store.take() {
            None => None,
            Some(Shared::Blocking(store)) => Some(store),
            Some(Shared::Async(_)) => return Err(BuildError::AsyncStore),
        };
        self.describe_ports(&profile, store.is_some());
        let (clock, limit) = (Arc::clone(&self.clock), self.config.exchange_limit);
        let telemetry = self.telemetry.clone();
        self.finish(Threads::new(Box::new(transport), Box::new(profile), store, clock, limit, telemetry))
    }

    /// A session whose refreshes run as tasks of this runtime, one at a time, each only for as long as its refresh.
    /// With feature `tokio`, the runtime is a `TokioRuntime`. A blocking [`store`](Self::store) is called on a thread.
    ///
    /// The calls of a session are the same, however it was built; see the ones that end in `_async`.
    ///
    /// # Errors
    /// [`BuildError`]; its text says what to change.
    pub fn asynchronous(
        mut self,
        transport: impl AsyncTransport + 'static,
        profile: impl Profile + 'static,
        runtime: impl Spawn + Sleep + 'static,
    ) -> Result<Session, BuildError> {
        let store: Option<Box<dyn AnyStore>> = self.store.take().map(|store| match store {
            Shared::Blocking(store) => Box::new(OnThread::new(store)),
            Shared::Async(store) => store,
        });
        self.describe_ports(&profile, store.is_some());
        let (clock, limit) = (Arc::clone(&self.clock), self.config.exchange_limit);
        let (telemetry, transport) = (self.telemetry.clone(), Box::new(transport));
        self.finish(Tasks::new(runtime, transport, Box::new(profile), store, clock, limit, telemetry))
    }

    fn finish(self, runner: impl Runner + 'static) -> Result<Session, BuildError> {
        let seed = getrandom::u64().map_err(|_| BuildError::NoRandomness)?;
        let machine = Machine::new(self.config, seed, self.clock.now())?;
        self.telemetry.built(machine.config());
        let engine = Engine::new(machine, self.clock, self.telemetry, Box::new(runner));
        Ok(Session::new(engine, self.time_limit))
    }

    /// What the machine has to know about its ports.
    fn describe_ports(&mut self, profile: &impl Profile, shared: bool) {
        self.config.renewal = profile.renewal();
        if self.config.renewal == Renewal::Ambient {
            // Nothing is presented that could be spent.
            self.config.ambiguous = AmbiguousPolicy::NonRotating;
        }
        self.config.persistence = if shared { Persistence::Shared } else { Persistence::Memory };
    }
}
