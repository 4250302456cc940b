use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use token_refresh_core::{
    Acquire, Action, Effect, Machine, Notice, Outcome, Persistence, State, Timestamp, WaiterId,
};

use crate::{
    Clock, Token,
    baton::Baton,
    limits::{Caller, Limits},
    notices::{Delivery, Observers},
    published::Published,
    sync::{Mutex, MutexGuard},
    telemetry::Telemetry,
    vigil::{Vigil, Watch},
    wait::{Answer, Demand, Slot},
};

/// The machine, and whatever its actions touch. Knows nothing of threads or tasks; the [`Runner`] does.
///
/// Each call of the machine is followed by a full drain under the same lock: publishing and answering happen there, so
/// that nobody can see one without the other. Foreign code (the clock, wakers, observers, and all effects) runs with
/// no lock held.
pub(crate) struct Engine {
    inner: Mutex<Inner>,
    pub(crate) published: Published,
    pub(crate) observers: Arc<Observers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) telemetry: Telemetry,
    runner: Box<dyn Runner>,
}

/// What the lock protects.
pub(crate) struct Inner {
    pub(crate) machine: Machine,
    waiting: BTreeMap<WaiterId, Arc<Slot>>,
    /// Each in a place of its own, which it leaves when it waits no longer.
    settling: BTreeMap<u64, Waker>,
    last_settling: u64,
    /// How many effects are being run, those included that the machine does not wait for.
    running: usize,
    /// Of callers that are futures. Those that block keep time for themselves.
    limits: Limits,
    /// Who keeps time, if anybody does.
    watch: Option<Watch>,
}

/// Runs work elsewhere: on a thread or as a task of its own.
pub(crate) trait Runner: Send + Sync {
    /// Starts the work and returns. If that is impossible, dropping the work is enough: it answers for itself.
    fn start(&self, work: Work);
}

/// What can be started.
pub(crate) enum Work {
    /// Run an effect, answer it, go on with the next.
    Effect(Box<Baton>),
    /// Keep time.
    Vigil(Vigil),
    /// Call the observers.
    Delivery(Delivery),
}

/// What is left to do once the lock is released.
#[derive(Default)]
#[must_use]
pub(crate) struct Rest {
    told: Vec<Notice>,
    wake: Vec<Waker>,
    effects: Vec<Effect>,
    vigil: bool,
}

impl Engine {
    pub(crate) fn new(
        machine: Machine,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
        runner: Box<dyn Runner>,
    ) -> Arc<Self> {
        let inner = Inner {
            machine,
            waiting: BTreeMap::new(),
            settling: BTreeMap::new(),
            last_settling: 0,
            running: 0,
            limits: Limits::default(),
            watch: None,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            published: Published::default(),
            observers: Arc::default(),
            clock,
            telemetry,
            runner,
        })
    }

    /// Calls the machine, and does what comes of it.
    pub(crate) fn call<R>(self: &Arc<Self>, call: impl FnOnce(&mut Inner, Timestamp) -> R) -> R {
        let (result, rest) = self.step(call);
        self.carry_out(rest);
        result
    }

    /// A demand, and its answer to come.
    pub(crate) fn demand(self: &Arc<Self>, ask: impl FnOnce(&mut Machine, Timestamp) -> Acquire) -> Demand {
        let demand = self.call(|inner, now| match ask(&mut inner.machine, now) {
            Acquire::Ready(snapshot) => Demand::answered(self.answer(Ok(snapshot), &mut None)),
            Acquire::Failed(failure) => Demand::answered(Err(failure)),
            Acquire::Wait(waiter) => {
                // In its place before the drain, which may answer it.
                let slot = Arc::<Slot>::default();
                inner.waiting.insert(waiter, Arc::clone(&slot));
                Demand::waiting(Arc::clone(self), waiter, slot)
            }
        });
        if demand.joined() {
            self.telemetry.joined();
        }
        demand
    }

    /// The caller waits no longer.
    pub(crate) fn cancel(self: &Arc<Self>, waiter: WaiterId) {
        self.call(|inner, _| {
            inner.machine.cancel(waiter);
            inner.waiting.remove(&waiter);
        });
    }

    /// For a caller that is a future and begins to wait: it is woken when its time is over.
    pub(crate) fn limit(self: &Arc<Self>, caller: Caller, until: Timestamp) {
        self.call(|inner, now| {
            inner.tick(now);
            let waiting = inner.waiting.len() + inner.settling.len();
            let Inner { limits, waiting: demands, settling, .. } = inner;
            limits.insert(until, caller, waiting, |caller| waits(demands, settling, caller));
        });
    }

    /// For whoever waits: lets the machine give up what nobody answers, and says when to look again.
    pub(crate) fn tick(self: &Arc<Self>) -> Option<Timestamp> {
        self.call(Inner::tick)
    }

    pub(crate) fn state(&self) -> State {
        self.lock().machine.state()
    }

    pub(crate) fn has_store(&self) -> bool {
        self.lock().machine.config().persistence == Persistence::Shared
    }

    /// Whether nothing is under way and nothing is owed.
    pub(crate) fn poll_settled(&self, place: &mut Option<u64>, context: &mut Context<'_>) -> Poll<()> {
        // Cloned and dropped outside the lock: a waker is foreign code.
        let waker = context.waker().clone();
        let mut inner = self.lock();
        if inner.is_settled() {
            return Poll::Ready(());
        }
        let place = *place.get_or_insert_with(|| {
            inner.last_settling += 1;
            inner.last_settling
        });
        let old = inner.settling.insert(place, waker);
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// This one waits no longer.
    pub(crate) fn forget_settling(&self, place: u64) {
        let waker = self.lock().settling.remove(&place);
        drop(waker);
    }

    /// Nobody keeps time any more, though somebody may wait: the next call sets up another watch.
    pub(crate) fn unwatched(&self) {
        let watch = self.lock().watch.take();
        drop(watch);
    }

    /// Runs the effect elsewhere.
    pub(crate) fn start(&self, baton: Baton) {
        self.runner.start(Work::Effect(Box::new(baton)));
    }

    /// Calls the machine and drains it, under the lock.
    pub(crate) fn step<R>(&self, call: impl FnOnce(&mut Inner, Timestamp) -> R) -> (R, Rest) {
        // Read before the lock is taken; the machine does not mind if two readings overtake each other.
        let now = self.clock.now();
        let mut inner = self.lock();
        let result = call(&mut inner, now);
        let rest = self.drain(&mut inner, now);
        (result, rest)
    }

    /// What a step left to do, with no lock held. Effects first: observers and woken callers must not hold them up.
    pub(crate) fn carry_out(self: &Arc<Self>, rest: Rest) {
        // Before the effects only so that the beginning of one is told before its end.
        rest.told.iter().for_each(|notice| self.telemetry.report(notice));
        for effect in rest.effects {
            self.start(Baton::new(Arc::clone(self), effect));
        }
        if rest.vigil {
            self.runner.start(Work::Vigil(Vigil::new(Arc::clone(self))));
        }
        rest.wake.into_iter().for_each(Waker::wake);
        if let Some(delivery) = self.observers.deliver() {
            self.runner.start(Work::Delivery(delivery));
        }
    }

    fn drain(&self, inner: &mut Inner, now: Timestamp) -> Rest {
        let (mut rest, mut token) = (Rest::default(), None);
        while let Some(action) = inner.machine.poll_action() {
            match action {
                Action::Publish(snapshot) => self.published.set(snapshot.as_deref()),
                Action::Resolve { waiter, outcome } => {
                    let slot = inner.waiting.remove(&waiter);
                    rest.wake.extend(slot.and_then(|slot| slot.fill(self.answer(outcome, &mut token))));
                }
                Action::Notify(notice) => {
                    self.observers.push(notice);
                    if Telemetry::ON {
                        rest.told.push(notice);
                    }
                }
                Action::Run(effect) => {
                    inner.running += 1;
                    rest.effects.push(effect);
                }
            }
        }
        while let Some(caller) = inner.limits.next_over(now) {
            // Takes itself out of the queue once it is polled.
            rest.wake.extend(match caller {
                Caller::Demand(waiter) => inner.waiting.get(&waiter).and_then(|slot| slot.waker()),
                Caller::Settled(place) => inner.settling.remove(&place),
            });
        }
        if inner.is_settled() {
            rest.wake.extend(std::mem::take(&mut inner.settling).into_values());
        }
        let due = inner.due();
        match &mut inner.watch {
            Some(watch) => rest.wake.extend(watch.recall(due)),
            vacant => {
                *vacant = due.map(Watch::new);
                rest.vigil = due.is_some();
            }
        }
        rest
    }

    /// The token of the answer before, or the published one, where it is the one that is meant: its header field is
    /// built already.
    fn answer(&self, outcome: Outcome, before: &mut Option<Arc<Token>>) -> Answer {
        let snapshot = outcome?;
        if let Some(token) = before.as_ref().filter(|token| token.id() == snapshot.id) {
            return Ok(Arc::clone(token));
        }
        let published = self.published.get().filter(|token| token.id() == snapshot.id);
        let token = Arc::new(published.unwrap_or_else(|| Token::new(&snapshot)));
        *before = Some(Arc::clone(&token));
        Ok(token)
    }

    /// The machine does not panic and no foreign code runs under the lock, so a poisoned lock means nothing.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// An effect came to an end, answered or not.
    pub(crate) fn ran(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Calls the machine if it is time, and says when that will be next.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.machine.handle_timeout(now);
        }
        self.machine.poll_timeout()
    }

    /// When something owed to the store is due that no run is taking care of.
    fn owed(&self) -> Option<Timestamp> {
        match self.machine.state() {
            State::Refreshing => None,
            State::Idle | State::Failed(_) => self.machine.poll_timeout(),
        }
    }

    /// When somebody must look at the clock, though no caller may be there to do it: for what is owed to the store, and
    /// while callers wait that are futures, for them and for the machine.
    fn due(&mut self) -> Option<Timestamp> {
        let Self { limits, waiting, settling, .. } = self;
        match limits.first(|caller| waits(waiting, settling, caller)) {
            Some(limit) => Some(self.machine.poll_timeout().map_or(limit, |due| due.min(limit))),
            None => self.owed(),
        }
    }

    /// Keeps watch until the instant that it says, or until the waker is called. `None`: the watch is over.
    pub(crate) fn watch(&mut self, waker: Waker) -> (Option<Timestamp>, Option<Watch>) {
        let due = self.due();
        let watch = due.map(|until| Watch { until, waker: Some(waker) });
        (due, std::mem::replace(&mut self.watch, watch))
    }

    fn is_settled(&self) -> bool {
        self.running == 0 && self.machine.is_settled()
    }
}

/// Whether this caller still waits.
fn waits(demands: &BTreeMap<WaiterId, Arc<Slot>>, settling: &BTreeMap<u64, Waker>, caller: Caller) -> bool {
    match caller {
        Caller::Demand(waiter) => demands.contains_key(&waiter),
        Caller::Settled(place) => settling.contains_key(&place),
    }
}

impl Rest {
    /// Takes out the effect that continues a run, if there is one, for whoever ran the one before.
    pub(crate) fn successor(&mut self) -> Option<Effect> {
        let continues = |effect: &Effect| match effect {
            Effect::Load { .. } | Effect::Commit { .. } | Effect::Exchange { .. } => true,
            Effect::Revoke { .. } => false,
        };
        let position = self.effects.iter().position(continues)?;
        Some(self.effects.swap_remove(position))
    }
}

#[cfg(test)]
mod tests;
