use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use core::mem;

use crate::{
    Acquire, Action, Body, Claimant, Config, ConfigError, Epoch, Event, ExchangeError, Failure, FailureKind,
    Generation, Grant, Misuse, Notice, Origin, Persistence, Record, SessionId, Snapshot, Stored, Ticket,
    Timestamp, TokenId, Version, WaiterId,
    outbox::Outbox,
    pacing::Pacing,
    pending::Pending,
    protocol::{Lineage, Unsaved},
    rng::Rng,
    run::{Current, Presentation, Stage, Step},
    waiters::Waiters,
    watch::Watch,
};

/// How much of the past is remembered: exchanges that were given up or orphaned, and identities that began here.
pub(crate) const REMEMBERED: usize = 64;

/// The state machine: decides everything about one session, and does nothing itself.
///
/// Every method that takes `now` may queue actions; drain [`poll_action`](Self::poll_action) after each call. Time is
/// clamped so that it never runs back, arithmetic saturates, and any input is defined in any state (CORE-17).
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    pub(crate) now: Timestamp,
    pub(crate) me: Claimant,

    pub(crate) epoch: Epoch,
    pub(crate) generation: Generation,
    /// The identity of this epoch, once it is known.
    pub(crate) session: Option<SessionId>,
    /// The record as last read or written.
    pub(crate) known: Stored,
    pub(crate) current: Option<Current>,
    pub(crate) lineage: Lineage,
    /// The identities that began here, the newest last. The record of an earlier one may land late in the store.
    pub(crate) drawn: VecDeque<SessionId>,
    /// Whether the loss of this epoch's session was announced.
    pub(crate) lost: bool,

    pub(crate) stage: Stage,
    pub(crate) waiters: Waiters,
    pub(crate) pacing: Pacing,
    pub(crate) watch: Watch,
    /// Exchanges whose answer is still worth having, though nobody waits for it.
    pub(crate) given_up: BTreeMap<Ticket, Presentation>,

    // What is owed to a shared store. It survives every failure and is settled without any demand (rule 8).
    pub(crate) unsaved: Option<Unsaved>,
    pub(crate) pending: Option<Pending>,
    /// The version over which a claim was issued that is neither used up nor given back.
    pub(crate) claimed: Option<Version>,
    pub(crate) settle_at: Timestamp,

    pub(crate) last_ticket: u64,
    pub(crate) outbox: Outbox,
}

/// What a machine is doing, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Idle,
    /// Exactly one effect of the current epoch is out.
    Refreshing,
    /// The last run failed. A token that is still good is served all the same (CORE-08).
    Failed(Failure),
}

/// Commands.
impl Machine {
    /// A machine that knows no credential yet.
    ///
    /// `seed` feeds jitter and the ids by which machines and sessions tell each other apart: draw it at random, anew
    /// for every machine.
    ///
    /// # Errors
    /// A configuration that cannot work.
    pub fn new(config: Config, seed: u64, now: Timestamp) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut rng = Rng::new(seed);
        let me = Claimant(rng.next());
        Ok(Self {
            config,
            rng,
            now,
            me,
            epoch: Epoch::default(),
            generation: Generation::default(),
            session: None,
            known: Stored::default(),
            current: None,
            lineage: Lineage::default(),
            drawn: VecDeque::new(),
            lost: false,
            stage: Stage::Idle,
            waiters: Waiters::default(),
            pacing: Pacing::new(),
            watch: Watch::default(),
            given_up: BTreeMap::new(),
            unsaved: None,
            pending: None,
            claimed: None,
            settle_at: Timestamp::ZERO,
            last_ticket: 0,
            outbox: Outbox::default(),
        })
    }

    /// A caller wants a token that can be used now. From the soft end on this also starts a refresh (CORE-16).
    pub fn acquire(&mut self, now: Timestamp) -> Acquire {
        let now = self.advance(now);
        self.demand(now)
    }

    /// The resource server refused this token, and the caller wants a newer one.
    ///
    /// A token of an earlier epoch is an immediate failure, an older one of this epoch an [`acquire`](Self::acquire)
    /// (CORE-04, SESS-03); only the refusal of the current token may start a run, and only once (CORE-05).
    pub fn reject(&mut self, token: TokenId, now: Timestamp) -> Acquire {
        let now = self.advance(now);
        if token.epoch < self.epoch {
            return Acquire::Failed(Failure::never(FailureKind::SessionEnded));
        }
        match &mut self.current {
            Some(current) if current.snapshot.id == token && !current.refused => {
                current.refused = true;
                let fresh = mem::take(&mut current.fresh);
                self.outbox.publish(None);
                if fresh {
                    self.outbox.notify(Notice::Fruitless { id: token });
                    if let Some(until) = self.pacing.fruitless(&self.config, now) {
                        self.outbox.notify(Notice::BreakerOpened { until });
                    }
                }
                // What was forbidden while the token served may be the last resort now.
                self.look_again_if(FailureKind::Uncertain, now);
            }
            Some(current) if token < current.snapshot.id => {
                self.outbox.notify(Notice::LateRefusal { id: token });
            }
            Some(_) | None => {}
        }
        self.demand(now)
    }

    /// The resource server took this token. Needed by the breaker only, so that telling it once per token is enough
    /// (CORE-12).
    pub fn accept(&mut self, token: TokenId, now: Timestamp) {
        let now = self.advance(now);
        if let Some(current) = &mut self.current
            && current.snapshot.id == token
        {
            current.fresh = false;
            self.pacing.accepted();
            self.look_again_if(FailureKind::RefusedAfterRefresh, now);
        }
    }

    /// A caller waits no longer. Takes one waiter out of the queue and can do nothing else (CORE-14).
    /// `false`: its outcome is already out.
    pub fn cancel(&mut self, waiter: WaiterId) -> bool {
        self.waiters.leave(waiter)
    }

    /// The application has a new credential: a new epoch (SESS-01). Legal in every state; the token is served at once.
    ///
    /// Everybody who waits is failed, whatever is in flight for the earlier identity is orphaned. Into a shared store
    /// the credential is written as soon as possible, over whatever is there.
    pub fn sign_in(&mut self, grant: Grant, now: Timestamp) {
        // What the old identity has under way is orphaned as it stands; nothing of it goes on.
        let now = self.set_clock(now);
        self.end_epoch();
        let session = self.draw_session();
        let record = Record::signed_in(session, grant, now);
        self.session = Some(session);
        self.pacing.signed_in();
        self.install(&record, Origin::SignIn, now);
        match self.config.persistence {
            Persistence::Memory => self.known.record = Some(record),
            Persistence::Shared => {
                self.pending = Some(Pending::sign_in(record));
                self.begin(false, now);
            }
        }
    }

    /// The user is signed out: a new epoch, without a credential (SESS-01). Legal in every state, and done for this
    /// process when it returns.
    ///
    /// Into a shared store a tombstone is written as soon as possible, unless another identity took the place
    /// meanwhile. The newest refresh token is revoked after that (SESS-05).
    pub fn sign_out(&mut self, now: Timestamp) {
        let now = self.set_clock(now);
        // What is being written now will never be answered to anybody.
        if let Some(pending) = self.pending.as_mut().filter(|_| self.stage.is_establishing()) {
            pending.unanswered();
        }
        // Without a session only a machine that has just started means "whoever is signed in"; any other has seen the end
        // of its own, and the next one is not its to end (rule 10).
        let means_one = self.session.is_some() || self.pending.is_some() || self.epoch == Epoch::default();
        let pending = Pending::sign_out(self.pending.take(), self.session, self.known.record.as_ref());
        self.end_epoch();
        self.close(Failure::never(FailureKind::SignedOut), now);
        match self.config.persistence {
            Persistence::Memory => self.revoke(pending.newest()),
            Persistence::Shared if means_one => {
                self.pending = Some(pending);
                self.begin(false, now);
            }
            Persistence::Shared => {}
        }
    }

    /// The application has removed the reason of a failure: leaves the failed state, lifts back-off and breaker, and
    /// lets a refused refresh token be tried once more. The rate limit stays (CORE-11), and so does what the policy says
    /// of a refresh token of unknown fate.
    pub fn reset(&mut self, now: Timestamp) {
        self.advance(now);
        self.pacing.reset();
        let marked = self.known.record.as_ref().is_some_and(|record| record.refused);
        if marked || self.lineage.verdict.is_some() {
            // As if it had never been presented.
            self.lineage = Lineage { serial: self.lineage.serial, forgiven: true, ..Lineage::default() };
        }
        self.reopen();
    }

    /// Time has passed. Gives up what nobody answers, and settles what is owed to the store.
    ///
    /// Callers get the same answers without this call. With a shared store make it when [`poll_timeout`] says: what is
    /// owed must be paid even if no caller ever comes again (rule 8).
    ///
    /// [`poll_timeout`]: Self::poll_timeout
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// An effect came to an end.
    ///
    /// # Errors
    /// The driver's own fault; the machine is left exactly as it was. [`Misuse::NotAwaited`] also comes of an answer
    /// that is merely late: ignore it.
    pub fn handle_event(&mut self, event: Event, now: Timestamp) -> Result<(), Misuse> {
        let (Event::Loaded { ticket, .. }
        | Event::Committed { ticket, .. }
        | Event::Exchanged { ticket, .. }
        | Event::Abandoned { ticket }) = event;
        if ticket.0 == 0 || ticket.0 > self.last_ticket {
            return Err(Misuse::UnknownTicket);
        }
        if let Some(presentation) = self.given_up.get(&ticket) {
            let (sent_at, result) = match event {
                Event::Exchanged { sent_at, result, .. } => (sent_at, result),
                Event::Abandoned { .. } => (self.now, Err(ExchangeError::Ambiguous { retry_after: None })),
                Event::Loaded { .. } | Event::Committed { .. } => return Err(Misuse::WrongKind),
            };
            let presentation = presentation.clone();
            self.given_up.remove(&ticket);
            let now = self.advance(now);
            self.on_late(presentation, sent_at, result, now);
            return Ok(());
        }
        let step = match &self.stage {
            Stage::Refreshing(run) if run.ticket == ticket => &run.step,
            Stage::Refreshing(_) | Stage::Idle | Stage::Failed(_) => return Err(Misuse::NotAwaited),
        };
        match (step, &event) {
            (_, Event::Abandoned { .. })
            | (Step::Load, Event::Loaded { .. })
            | (Step::Commit { .. }, Event::Committed { .. })
            | (Step::Exchange(_), Event::Exchanged { .. }) => {}
            (Step::Load | Step::Commit { .. } | Step::Exchange(_), _) => return Err(Misuse::WrongKind),
        }
        // The answer came before the watchdog looked, so it counts.
        self.set_clock(now);
        self.complete(event);
        Ok(())
    }
}

/// What to do next, and how things stand.
impl Machine {
    /// The next thing for the driver to do. Drain after every call: first what callers are told, then effects.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, if ever. May change with every call.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Refreshing(run) => Some(run.give_up_at),
            Stage::Idle | Stage::Failed(_) => self.owes().then_some(self.settle_at),
        }
    }

    /// What the machine is doing.
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Idle => State::Idle,
            Stage::Refreshing(_) => State::Refreshing,
            Stage::Failed(failed) => State::Failed(failed.failure),
        }
    }

    /// Whether nothing is under way and nothing is owed to the store: a good moment to end the process.
    pub fn is_settled(&self) -> bool {
        !self.stage.is_refreshing() && !self.owes()
    }

    /// The current token, unless it was refused. It may have expired.
    pub fn current(&self) -> Option<&Arc<Snapshot>> {
        self.current.as_ref().filter(|current| !current.refused).map(|current| &current.snapshot)
    }

    /// The newest grant that this machine has, and when it was obtained. It may not have been saved yet, its access token
    /// may have expired, and its refresh token may have been presented since.
    pub fn grant(&self) -> Option<(&Grant, Timestamp)> {
        if let Some(Unsaved { grant, obtained_at, .. }) = &self.unsaved {
            return Some((grant, *obtained_at));
        }
        let known = self.pending.as_ref().and_then(Pending::signed_in).or(self.known.record.as_ref());
        match &known?.body {
            Body::Grant { grant, obtained_at } => Some((grant, *obtained_at)),
            Body::Vacant | Body::SignedOut => None,
        }
    }

    /// The current epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What this machine was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
