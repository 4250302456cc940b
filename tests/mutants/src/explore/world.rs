//! A state of a small world, and what can happen in it.

use core::time::Duration;

use super::key::Key;
use super::process::{Call, Out, Process, What, begun};
use super::rules::Past;
use super::server::{Rt, Server, id};
use super::setting::{Fault, Setting, WINDOW};
use super::{Violation, must};
use crate::{
    Acquire, Action, Body, CommitError, Effect, Event, ExchangeError, Record, StoreError, Stored, Timestamp,
    Version,
};

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) store: Store,
    pub(super) server: Server,
    pub(super) processes: Vec<Process>,
    delayed: Vec<Delayed>,
    budget: Budget,
    pub(super) past: Past,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) version: u64,
    pub(super) record: Option<Record>,
    /// What a stale load yields; kept only where there are stale loads.
    before: Option<Box<Stored>>,
}

/// On its way.
#[derive(Clone, Debug)]
enum Delayed {
    Commit { process: usize, expected: Version, record: Box<Record> },
    Request { rt: Rt },
}

#[derive(Clone, Debug)]
struct Budget {
    faults: u8,
    late: u8,
    cancels: u8,
    sign_ins: u8,
    sign_outs: u8,
    ages: u8,
}

/// One thing that happens. Processes and effects are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A caller comes: the published token was refused to it, or it has none.
    Demand(u8),
    /// The token before the published one is refused, late.
    LateRefusal(u8),
    /// The caller that came last gives up.
    Cancel(u8),
    /// Somebody signs in.
    SignIn(u8),
    /// The session is signed out.
    SignOut(u8),
    /// The next step of an effect.
    Step(u8, u8),
    /// The next step of an effect, with a fault.
    Fault(u8, u8, Fault),
    /// The process is told the time.
    Wake(u8),
    /// The process stands still.
    Pause(u8),
    /// And goes on.
    Resume(u8),
    /// The process dies and starts again.
    Crash(u8),
    /// What was delayed arrives.
    Land(u8),
    /// Nobody has anything to do now: time goes on.
    Tick,
    /// Nobody does anything for a long time.
    Age,
    /// The whole machine stands still.
    Suspend,
}

/// When a world begins.
const BEGINNING: Timestamp = Timestamp::from_millis(1_000_000_000);

impl World {
    /// The first process has signed in.
    ///
    /// # Errors
    /// The rule that is broken on the way.
    pub(super) fn new(setting: &Setting) -> Result<Self, Violation> {
        let mut world = Self {
            now: BEGINNING,
            store: Store::default(),
            server: Server::new(setting.server),
            processes: Vec::new(),
            delayed: Vec::new(),
            budget: Budget {
                faults: setting.faults,
                late: setting.late,
                cancels: setting.cancels,
                sign_ins: setting.sign_ins + 1,
                sign_outs: setting.sign_outs,
                ages: setting.ages,
            },
            past: Past::default(),
        };
        for _ in 0..setting.processes {
            world.past.lives += 1;
            world.processes.push(Process::start(setting, world.past.lives, BEGINNING));
        }
        world.make(setting, Move::SignIn(0))?;
        world.come_to_rest(setting)?;
        // Wherever there is a store, the others have the token too: every demand that follows is a refusal.
        for p in 1..setting.processes {
            world.make(setting, Move::Demand(number(p)))?;
            world.come_to_rest(setting)?;
        }
        for process in &mut world.processes {
            process.known.demands = setting.demands;
        }
        // The first sign-in ended no session that anybody had.
        world.past.copy_lost = false;
        Ok(world)
    }

    fn come_to_rest(&mut self, setting: &Setting) -> Result<(), Violation> {
        while let Some(step) = self.work(setting) {
            self.make(setting, step)?;
        }
        Ok(())
    }

    /// What the state is told by.
    pub(super) fn key(&self, setting: &Setting) -> u128 {
        let mut key = Key::new(self.store.version);
        for (index, process) in self.processes.iter().enumerate() {
            let m = &process.machine;
            let now = self.clock(setting, index);
            let clock = now.as_millis();
            key.part(clock, (m.me, m.epoch, m.generation, m.session, &m.known, &m.current));
            key.part(
                clock,
                (m.lineage, &m.drawn, m.lost, &m.waiters, &m.pacing, &m.watch, &m.unsaved, &m.pending),
            );
            key.part(clock, (&m.stage, &m.given_up, m.claimed, m.settle_at.max(now), &process.known));
        }
        key.part(self.now.as_millis(), (&self.store, &self.server, &self.delayed, &self.budget, &self.past));
        key.finish()
    }

    pub(super) fn clock(&self, setting: &Setting, process: usize) -> Timestamp {
        self.now.after(Duration::from_millis(setting.skew * process as u64))
    }

    /// All that can happen.
    pub(super) fn moves(&self, setting: &Setting) -> Vec<Move> {
        let mut moves = Vec::new();
        let budget = &self.budget;
        let may = |fault| budget.faults > 0 && setting.kinds.contains(&fault);
        for (index, process) in self.processes.iter().enumerate() {
            let p = number(index);
            let known = &process.known;
            if known.paused {
                moves.push(Move::Resume(p));
                continue;
            }
            let clock = self.clock(setting, index);
            for (o, out) in known.out.iter().enumerate() {
                let o = number(o);
                if out.what.due().is_some_and(|due| due > clock) || matches!(out.what, What::Vanished) {
                    continue;
                }
                moves.push(Move::Step(p, o));
                // Whoever is too late to send says so, and nothing else can become of it.
                let late = matches!(out.what, What::Exchange { send_by, .. } if clock > send_by);
                let faults = faults_of(&out.what).iter().filter(|fault| may(**fault));
                let faults = faults.filter(|fault| !late || **fault == Fault::Vanish);
                moves.extend(faults.map(|fault| Move::Fault(p, o, *fault)));
            }
            if process.machine.poll_timeout().is_some_and(|due| due <= clock) {
                moves.push(Move::Wake(p));
            }
            if known.demands > 0 {
                moves.push(Move::Demand(p));
            }
            if budget.late > 0 && known.before.is_some() {
                moves.push(Move::LateRefusal(p));
            }
            if budget.cancels > 0 && !known.waiting.is_empty() {
                moves.push(Move::Cancel(p));
            }
            if budget.sign_ins > 0 {
                moves.push(Move::SignIn(p));
            }
            if budget.sign_outs > 0 {
                moves.push(Move::SignOut(p));
            }
            let busy = !known.out.is_empty() || !process.machine.is_settled();
            if may(Fault::Crash) && busy {
                moves.push(Move::Crash(p));
            }
            if may(Fault::Pause) && !known.out.is_empty() {
                moves.push(Move::Pause(p));
            }
        }
        moves.extend((0..self.delayed.len()).map(|index| Move::Land(number(index))));
        let hurries = (0..self.processes.len()).any(|p| self.processes[p].hurries(self.clock(setting, p)));
        if !hurries && self.tick(setting).is_some() {
            moves.push(Move::Tick);
        }
        let idle = self.processes.iter().all(|process| process.known.out.is_empty());
        if budget.ages > 0 && idle && !hurries {
            moves.push(Move::Age);
        }
        if may(Fault::Suspend) && !idle {
            moves.push(Move::Suspend);
        }
        moves
    }

    /// A move that only finishes what was begun; `None`: all is at rest.
    pub(super) fn work(&self, setting: &Setting) -> Option<Move> {
        let finishes = |step: &Move| match step {
            Move::Step(..) | Move::Wake(_) | Move::Resume(_) | Move::Land(_) | Move::Tick => true,
            Move::Demand(_)
            | Move::LateRefusal(_)
            | Move::Cancel(_)
            | Move::SignIn(_)
            | Move::SignOut(_)
            | Move::Fault(..)
            | Move::Pause(_)
            | Move::Crash(_)
            | Move::Age
            | Move::Suspend => false,
        };
        self.moves(setting).into_iter().find(finishes)
    }

    /// By how much time goes on. Without anything to wait for, it is long enough for whoever is silent.
    fn tick(&self, setting: &Setting) -> Option<Duration> {
        let next = |p: usize| {
            let clock = self.clock(setting, p);
            self.processes[p].next(clock).map(|due| due.since(clock))
        };
        let silent = self.processes.iter().any(|process| {
            let late =
                |out: &Out| matches!(out.what, What::Checked { .. } | What::Arrived { hurries: false, .. });
            process.known.paused || process.known.out.iter().any(late)
        });
        let silence = setting.config().term() * 2;
        (0..self.processes.len()).filter_map(next).min().or(silent.then_some(silence))
    }

    /// # Errors
    /// The rule that this breaks.
    pub(super) fn make(&mut self, setting: &Setting, step: Move) -> Result<(), Violation> {
        self.past.labels.0.clear();
        match step {
            Move::Demand(p) => {
                let known = &mut self.processes[usize::from(p)].known;
                known.demands = known.demands.saturating_sub(1);
                let call = known.cell.map_or(Call::Acquire, Call::Reject);
                self.call(setting, p, call)
            }
            Move::LateRefusal(p) => {
                self.budget.late -= 1;
                let before = self.processes[usize::from(p)].known.before.unwrap_or_default();
                self.call(setting, p, Call::Reject(before))
            }
            Move::Cancel(p) => {
                self.budget.cancels -= 1;
                let waiter = self.processes[usize::from(p)].known.waiting.pop();
                waiter.map_or(Ok(()), |waiter| self.call(setting, p, Call::Cancel(waiter.id)))
            }
            Move::SignIn(p) => {
                self.budget.sign_ins -= 1;
                self.past.sessions += 1;
                let grant = self.server.sign_in();
                self.call(setting, p, Call::SignIn(grant, 1_000_000 + self.past.sessions))
            }
            Move::SignOut(p) => {
                self.budget.sign_outs -= 1;
                self.call(setting, p, Call::SignOut)
            }
            Move::Step(p, o) => self.step(setting, p, o),
            Move::Fault(p, o, fault) => {
                self.suffer(fault);
                self.fault(setting, p, o, fault)
            }
            Move::Wake(p) => self.call(setting, p, Call::Timeout),
            Move::Pause(p) => {
                self.suffer(Fault::Pause);
                self.processes[usize::from(p)].known.paused = true;
                Ok(())
            }
            Move::Resume(p) => {
                self.processes[usize::from(p)].known.paused = false;
                Ok(())
            }
            Move::Crash(p) => {
                self.suffer(Fault::Crash);
                let index = usize::from(p);
                self.ask(|past, world| past.dies(&world.processes[index]));
                self.past.lives += 1;
                let clock = self.clock(setting, index);
                let before = std::mem::replace(
                    &mut self.processes[index],
                    Process::start(setting, self.past.lives, clock),
                );
                let known = &mut self.processes[index].known;
                known.demands = before.known.demands;
                // What it meant to end may still end, by a commit that is on its way.
                (known.ends_any, known.ended) = (before.known.ends_any, before.known.ended);
                Ok(())
            }
            Move::Land(index) => match self.delayed.remove(usize::from(index)) {
                Delayed::Commit { process, expected, record } => {
                    self.commit(setting, process, expected, *record).map(|_| ())
                }
                Delayed::Request { rt } => {
                    // Whoever sent it gave it up, so that nobody has the answer.
                    self.past.copy_lost = true;
                    self.server.present(rt, WINDOW, self.now);
                    Ok(())
                }
            },
            Move::Tick => {
                self.now = self.now.after(self.tick(setting).unwrap_or_default());
                Ok(())
            }
            Move::Age => {
                self.budget.ages -= 1;
                self.now = self.now.after(WINDOW * 2);
                Ok(())
            }
            Move::Suspend => {
                self.suffer(Fault::Suspend);
                self.now = self.now.after(setting.config().term() * 3);
                Ok(())
            }
        }
    }

    /// The rules look at the world, and the past that they remember is a part of it.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Past, &mut Self) -> T) -> T {
        let mut past = std::mem::take(&mut self.past);
        let answer = question(&mut past, self);
        self.past = past;
        answer
    }

    fn suffer(&mut self, fault: Fault) {
        self.budget.faults -= 1;
        self.past.suffered.insert(fault);
    }

    /// What should happen next to an effect.
    fn step(&mut self, setting: &Setting, p: u8, o: u8) -> Result<(), Violation> {
        let clock = self.clock(setting, usize::from(p));
        let out = self.processes[usize::from(p)].known.out[usize::from(o)].clone();
        let Out { ticket, epoch, what } = out;
        let event = match what {
            What::Load { .. } => Event::Loaded { ticket, result: Ok(self.store.current()) },
            What::Commit { expected, record } => {
                let result = self.commit(setting, usize::from(p), expected, *record)?;
                Event::Committed { ticket, result }
            }
            What::Exchange { send_by, .. } if clock > send_by => {
                Event::Exchanged { ticket, sent_at: clock, result: Err(ExchangeError::NotSent) }
            }
            What::Exchange { rt, .. } | What::Checked { rt } => {
                self.ask(|past, world| past.sends(world, setting, p, epoch, rt))?;
                let result = self.present(rt);
                self.put(p, o, What::Arrived { rt, result, hurries: true });
                return Ok(());
            }
            What::Arrived { result, .. } => {
                Event::Exchanged { ticket, sent_at: clock, result: result.map(|grant| *grant) }
            }
            What::Silent { .. } => Event::Exchanged {
                ticket,
                sent_at: clock,
                result: Err(ExchangeError::Ambiguous { retry_after: None }),
            },
            What::Vanished => return Ok(()),
        };
        self.end(setting, p, o, event)
    }

    fn fault(&mut self, setting: &Setting, p: u8, o: u8, fault: Fault) -> Result<(), Violation> {
        let clock = self.clock(setting, usize::from(p));
        let Out { ticket, epoch, what } = self.processes[usize::from(p)].known.out[usize::from(o)].clone();
        let until = clock.after(setting.config().exchange_limit);
        let unavailable = Event::Committed { ticket, result: Err(CommitError::Unavailable) };
        let event = match (fault, what) {
            (Fault::StoreUnavailable, What::Load { .. }) => Event::Loaded { ticket, result: Err(StoreError) },
            (Fault::StaleLoad, What::Load { .. }) => {
                let before = self.store.before.as_deref().cloned().unwrap_or_default();
                Event::Loaded { ticket, result: Ok(before) }
            }
            (Fault::CommitLost, What::Commit { .. }) => unavailable,
            (Fault::CommitSlow, What::Commit { expected, record }) => {
                self.now = self.now.after(Duration::from_millis(5));
                let result = self.commit(setting, usize::from(p), expected, *record)?;
                Event::Committed { ticket, result }
            }
            (Fault::CommitUnanswered, What::Commit { expected, record }) => {
                self.commit(setting, usize::from(p), expected, *record)?.ok();
                unavailable
            }
            (Fault::CommitDelayed, What::Commit { expected, record }) => {
                self.delayed.push(Delayed::Commit { process: p.into(), expected, record });
                unavailable
            }
            (Fault::Transient, What::Exchange { .. }) => {
                let retry_after = Some(Duration::from_millis(300));
                let result = Err(ExchangeError::Transient { retry_after });
                Event::Exchanged { ticket, sent_at: clock, result }
            }
            (Fault::NotSent, What::Exchange { .. }) => {
                Event::Exchanged { ticket, sent_at: clock, result: Err(ExchangeError::NotSent) }
            }
            (Fault::PauseBeforeSend, What::Exchange { rt, .. }) => {
                self.put(p, o, What::Checked { rt });
                return Ok(());
            }
            (Fault::Vanish, _) => {
                self.put(p, o, What::Vanished);
                return Ok(());
            }
            (_, What::Exchange { rt, .. }) => {
                self.ask(|past, world| past.sends(world, setting, p, epoch, rt))?;
                let next = match fault {
                    Fault::ReplyDelayed => What::Arrived { rt, result: self.present(rt), hurries: false },
                    Fault::ReplyLost => {
                        self.past.copy_lost |= self.present(rt).is_ok();
                        What::Silent { rt, until }
                    }
                    Fault::RequestDelayed => {
                        self.delayed.push(Delayed::Request { rt });
                        What::Silent { rt, until }
                    }
                    _ => What::Silent { rt, until },
                };
                self.put(p, o, next);
                return Ok(());
            }
            (_, _) => return Ok(()),
        };
        self.end(setting, p, o, event)
    }

    fn put(&mut self, p: u8, o: u8, what: What) {
        self.processes[usize::from(p)].known.out[usize::from(o)].what = what;
    }

    fn present(&mut self, rt: Rt) -> Result<Box<crate::Grant>, ExchangeError> {
        self.server.present(rt, WINDOW, self.now).map(Box::new).ok_or(ExchangeError::Permanent)
    }

    /// An effect is answered.
    fn end(&mut self, setting: &Setting, p: u8, o: u8, event: Event) -> Result<(), Violation> {
        let out = self.processes[usize::from(p)].known.out.remove(usize::from(o));
        self.ask(|past, world| past.hears(world, setting, p, &out, &event))?;
        self.call(setting, p, Call::Event(event))
    }

    fn commit(
        &mut self,
        setting: &Setting,
        p: usize,
        expected: Version,
        record: Record,
    ) -> Result<Result<Version, CommitError>, Violation> {
        // No store has this version: a mutant that means "whatever is there".
        if expected.0 != self.store.version && expected.0 != u64::MAX {
            return Ok(Err(CommitError::Conflict));
        }
        self.ask(|past, world| past.commits(world, setting, p, &record))?;
        if setting.kinds.contains(&Fault::StaleLoad) {
            self.store.before = Some(Box::new(self.store.current()));
        }
        self.store.version += 1;
        self.store.record = Some(record);
        Ok(Ok(Version(self.store.version)))
    }

    /// One call of one machine, and what comes of it.
    fn call(&mut self, setting: &Setting, p: u8, call: Call) -> Result<(), Violation> {
        let index = usize::from(p);
        let clock = self.clock(setting, index);
        let hand = self.processes[index].in_hand();
        self.ask(|past, world| past.asked(world, p, &call));
        let reply = self.processes[index].call(&call, clock);
        if let Some(acquire) = &reply.acquire {
            self.ask(|past, world| past.answered(world, setting, p, &call, acquire))?;
            if let Acquire::Wait(id) = acquire {
                let refused = if let Call::Reject(token) = call { Some(token) } else { None };
                let process = &mut self.processes[index];
                let epoch = process.machine.epoch();
                process.known.waiting.push(super::process::Waiter { id: *id, refused, epoch });
            }
        }
        for action in &reply.actions {
            self.ask(|past, world| past.told(world, setting, p, &call, action))?;
            self.act(p, action);
        }
        self.ask(|past, world| past.after(world, setting, p, &call, &reply, hand))
    }

    fn act(&mut self, p: u8, action: &Action) {
        let index = usize::from(p);
        let known = &mut self.processes[index].known;
        match action {
            Action::Publish(Some(token)) => {
                known.before = known.newest.filter(|before| before.epoch == token.id.epoch);
                (known.cell, known.newest) = (Some(token.id), Some(token.id));
            }
            Action::Publish(None) => known.cell = None,
            Action::Resolve { waiter, .. } => known.waiting.retain(|waiting| waiting.id != *waiter),
            Action::Notify(_) => {}
            Action::Run(Effect::Revoke { refresh }) => self.server.revoke(id(refresh)),
            Action::Run(effect) => {
                if let Some((ticket, what)) = begun(effect) {
                    let epoch = self.processes[index].machine.epoch();
                    self.processes[index].known.out.push(Out { ticket, epoch, what });
                }
            }
        }
    }

    /// Everything comes to rest, a long time passes, and one process is asked once more. Whether it served.
    ///
    /// # Errors
    /// The rule that is broken on the way.
    pub(super) fn asked_once_more(&self, setting: &Setting, p: u8) -> Result<bool, Violation> {
        let mut world = self.clone();
        world.budget.faults = 0;
        world.now = world.now.after(Duration::from_secs(7200));
        // The token served well until now: a row of refusals would open the breaker.
        let process = &mut world.processes[usize::from(p)];
        if let Some(token) = process.known.cell {
            process.machine.accept(token, world.now);
            (process.known.fresh, process.known.fruitless) = (false, 0);
        }
        world.make(setting, Move::Demand(p))?;
        world.come_to_rest(setting)?;
        let known = &world.processes[usize::from(p)].known;
        must(known.waiting.is_empty(), "I-05", || "a caller is never answered".to_owned())?;
        Ok(known.cell.is_some())
    }
}

impl Store {
    pub(super) fn current(&self) -> Stored {
        Stored { version: Version(self.version), record: self.record.clone() }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.body == Body::SignedOut)
    }
}

/// What can go wrong with the next step of an effect.
fn faults_of(what: &What) -> &'static [Fault] {
    match what {
        What::Load { .. } => &[Fault::StoreUnavailable, Fault::StaleLoad, Fault::Vanish],
        What::Commit { .. } => &[
            Fault::CommitLost,
            Fault::CommitSlow,
            Fault::CommitUnanswered,
            Fault::CommitDelayed,
            Fault::Vanish,
        ],
        What::Exchange { .. } => &[
            Fault::RequestLost,
            Fault::ReplyLost,
            Fault::RequestDelayed,
            Fault::ReplyDelayed,
            Fault::Transient,
            Fault::NotSent,
            Fault::PauseBeforeSend,
            Fault::Vanish,
        ],
        What::Checked { .. } | What::Arrived { .. } | What::Silent { .. } | What::Vanished => &[],
    }
}

fn number(index: usize) -> u8 {
    u8::try_from(index).expect("a world is small")
}
