use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hash},
    mem,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use token_refresh_core::Timestamp;

use crate::{BuildError, Clock, Session, SystemClock};

/// Many credentials in one process: a session for each user, tenant or account that is in use.
///
/// [`get`](Self::get) opens the session of a key when it is asked for, over that key's own [`Store`](crate::Store).
/// Sessions know nothing of each other (CORE-18). Those that nobody asks for any more are let go, and there are never
/// more than a fixed number: what is let go is in its store, and is opened from there the next time.
///
/// A session may be let go at any time, also while a program holds a handle to it or a refresh is under way: the handle
/// works on, the refresh ends, and what is owed to the store is paid. If the key is asked for meanwhile there are two
/// sessions over one store, which share it as two processes do: one of them refreshes, the other adopts.
///
/// For credentials that are to live in memory only, see [`MemoryTable`](crate::store::MemoryTable).
///
/// ```
/// use token_refresh_driver::{Grant, Session, Sessions, store::MemoryTable};
/// # use token_refresh_driver::{Attempt, BuildError, Endpoint, OAuthProfile, Transport, TransportError};
/// # use token_refresh_driver::wire::{ClientAuth, OAuthClient};
/// # #[derive(Clone)]
/// # struct Http;
/// # impl Transport for Http {
/// #     fn send(&self, _: http::Request<bytes::Bytes>, _: &Attempt) -> Result<http::Response<bytes::Bytes>, TransportError> {
/// #         Err(TransportError::NotSent)
/// #     }
/// # }
/// # let http = Http;
/// # let endpoint = Endpoint::https("https://login.example/token")?;
/// # let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
/// # let profile = move || OAuthProfile::refresh_token(client.clone(), endpoint.clone());
/// let users = MemoryTable::new();
/// let sessions = Sessions::<u64>::new(move |user| {
///     Session::builder().store(users.store(*user)).blocking(http.clone(), profile())
/// });
///
/// // At the end of a login,
/// sessions.get(&7)?.sign_in(Grant::new("their-access-token")?.with_refresh_token("their-refresh-token")?);
/// // and for every request after it.
/// let token = sessions.get(&7)?.token()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sessions<K, E = BuildError> {
    open: Box<Open<K, E>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Says to which shard a key belongs.
    hasher: RandomState,
    shards: Box<[RwLock<Shard<K>>]>,
}

type Open<K, E> = dyn Fn(&K) -> Result<Session, E> + Send + Sync;

#[derive(Clone, Copy)]
struct Limits {
    idle: Duration,
    /// The largest number of sessions in one generation of one shard.
    most: usize,
}

/// Part of the table, with a lock of its own.
///
/// In two generations, so that using a session needs no bookkeeping: whoever is asked for is among the young. When they
/// have become many, or the idle span has passed, they become the old, and those who were old till then are let go.
struct Shard<K> {
    young: HashMap<K, Session>,
    old: HashMap<K, Session>,
    /// What is let go, until the lock is released.
    gone: Vec<HashMap<K, Session>>,
    /// When the young became the old for the last time.
    turned: Timestamp,
}

/// Options, to be set before the table is used.
impl<K, E> Sessions<K, E> {
    /// A table of at most 10,000 sessions, which lets go whatever was not asked for during five minutes.
    ///
    /// `open` builds the session of a key, over a store of that key alone. It is called with no lock held; if two
    /// threads ask for the same new key at once it may be called twice, and one of the sessions is dropped unused.
    pub fn new(open: impl Fn(&K) -> Result<Session, E> + Send + Sync + 'static) -> Self {
        let table = Self {
            open: Box::new(open),
            clock: Arc::new(SystemClock::new()),
            limits: Limits { idle: Duration::from_secs(300), most: 1 },
            hasher: RandomState::new(),
            shards: Box::default(),
        };
        table.max_sessions(10_000)
    }

    /// Room for so many sessions, at least two. With less room than there are sessions in use at one time, sessions are
    /// opened again and again: each time costs a load, and the memory of its past failures.
    #[must_use]
    pub fn max_sessions(self, sessions: usize) -> Self {
        let shards = (sessions / 128).clamp(1, 16);
        let most = (sessions / shards / 2).max(1);
        let now = self.clock.now();
        let limits = Limits { most, ..self.limits };
        Self { limits, shards: (0..shards).map(|_| RwLock::new(Shard::new(now))).collect(), ..self }
    }

    /// Lets go of a session that was not asked for during this span. It is gone at the latest after twice the span, if
    /// the table is used then or [`sweep`](Self::sweep) is called.
    #[must_use]
    pub fn idle_after(self, idle: Duration) -> Self {
        Self { limits: Limits { idle, ..self.limits }, ..self }
    }

    /// Where time comes from. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        let now = clock.now();
        let shards = self.shards.iter().map(|_| RwLock::new(Shard::new(now))).collect();
        Self { clock: Arc::new(clock), shards, ..self }
    }
}

impl<K: Clone + Eq + Hash, E: From<BuildError>> Sessions<K, E> {
    /// The session of this key, which is opened if it is not in the table. Opening it reads nothing: a session loads
    /// its record when it is first asked for a token.
    ///
    /// # Errors
    /// What `open` answered; [`BuildError::NoStore`] if the session that it built has no store.
    pub fn get(&self, key: &K) -> Result<Session, E> {
        let now = self.clock.now();
        let shard = self.shard(key);
        if let Some(session) = read(shard).recent(key, now, self.limits) {
            return Ok(session);
        }
        if let Some(session) = self.change(shard, now, |shard| shard.rejuvenate(key, None, self.limits)) {
            return Ok(session);
        }
        let opened = (self.open)(key)?;
        if !opened.has_store() {
            return Err(BuildError::NoStore.into());
        }
        let rejuvenate = |shard: &mut Shard<K>| shard.rejuvenate(key, Some(opened.clone()), self.limits);
        Ok(self.change(shard, now, rejuvenate).unwrap_or(opened))
    }

    /// Takes the session of this key out of the table, if it is there. What is in its store stays; to end an identity,
    /// [sign out](Session::sign_out) first.
    pub fn remove(&self, key: &K) -> Option<Session> {
        let mut shard = write(self.shard(key));
        let old = shard.old.remove(key);
        shard.young.remove(key).or(old)
    }

    fn shard(&self, key: &K) -> &RwLock<Shard<K>> {
        // There are at most 16 shards.
        &self.shards[usize::from(self.hasher.hash_one(key).to_be_bytes()[0]) % self.shards.len()]
    }
}

impl<K, E> Sessions<K, E> {
    /// How many sessions are in the table.
    pub fn len(&self) -> usize {
        self.shards.iter().map(read).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of what was not asked for in time. This happens by itself while the table is used; for a program that
    /// may leave it alone for long and wants no tokens in its memory meanwhile.
    pub fn sweep(&self) {
        let now = self.clock.now();
        for shard in &self.shards {
            self.change(shard, now, |_| None);
        }
    }

    /// Does what the passage of time asks for, and then this. What is let go is dropped with no lock held.
    fn change(
        &self,
        shard: &RwLock<Shard<K>>,
        now: Timestamp,
        change: impl FnOnce(&mut Shard<K>) -> Option<Session>,
    ) -> Option<Session> {
        let mut shard = write(shard);
        shard.age(now, self.limits);
        let session = change(&mut shard);
        let gone = mem::take(&mut shard.gone);
        drop(shard);
        drop(gone);
        session
    }
}

impl<K> Shard<K> {
    fn new(now: Timestamp) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), gone: Vec::new(), turned: now }
    }

    /// The young become the old, and whoever was old by then is let go.
    fn turn(&mut self) {
        let young = mem::take(&mut self.young);
        self.gone.push(mem::replace(&mut self.old, young));
    }

    /// Time passes.
    fn age(&mut self, now: Timestamp, limits: Limits) {
        let passed = now.since(self.turned);
        if passed >= limits.idle {
            self.turn();
            self.turned = now;
        }
        if passed >= limits.idle.saturating_mul(2) {
            self.turn();
        }
    }
}

impl<K: Clone + Eq + Hash> Shard<K> {
    /// The session of this key, if it is among the young and they are not to become the old now.
    fn recent(&self, key: &K, now: Timestamp, limits: Limits) -> Option<Session> {
        self.young.get(key).filter(|_| now.since(self.turned) < limits.idle).cloned()
    }

    /// The session of this key, which is among the young from now on; `opened` if there is none.
    fn rejuvenate(&mut self, key: &K, opened: Option<Session>, limits: Limits) -> Option<Session> {
        if let Some(session) = self.young.get(key) {
            return Some(session.clone());
        }
        let session = self.old.remove(key).or(opened)?;
        if self.young.len() >= limits.most {
            self.turn();
        }
        self.young.insert(key.clone(), session.clone());
        Some(session)
    }
}

impl<K, E> fmt::Debug for Sessions<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Nothing panics under the lock but the key's own code, which leaves a shard that is whole.
fn read<K>(shard: &RwLock<Shard<K>>) -> RwLockReadGuard<'_, Shard<K>> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<K>(shard: &RwLock<Shard<K>>) -> RwLockWriteGuard<'_, Shard<K>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
