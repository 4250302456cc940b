//! The rules of safety, and what has to be remembered of the past to check them. All of it is part of a state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::process::{Call, Out, Process, Reply, What};
use super::server::{Kind, REUSE, Rt, id, refresh_of};
use super::setting::{Fault, Setting, WINDOW};
use super::world::World;
use super::{Violation, must};
use crate::{
    Acquire, Action, AmbiguousPolicy, Body, Effect, Epoch, Event, ExchangeError, FailureKind, Notice, Origin,
    Record, SessionId, Timestamp,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// Starts of processes, and sign-ins.
    pub(super) lives: u64,
    pub(super) sessions: u64,
    /// What went wrong.
    pub(super) suffered: BTreeSet<Fault>,
    /// By refresh token.
    tokens: BTreeMap<Rt, Token>,
    /// The access tokens that were in the store at some time.
    saved: BTreeSet<u8>,
    /// When the version in force was written.
    written_at: Timestamp,
    /// Sessions that were signed out in the store, or replaced there.
    over: Vec<SessionId>,
    /// An answer with a grant was lost, so that no client has what the server holds for good.
    pub(super) copy_lost: bool,
    /// What the last move showed; no part of a state.
    pub(super) labels: Labels,
}

#[derive(Clone, Default)]
pub(super) struct Labels(pub(super) Vec<&'static str>);

impl fmt::Debug for Labels {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// What happened to a refresh token.
#[derive(Clone, Debug, Default)]
struct Token {
    /// How often it was sent and the server may have acted.
    sent: u32,
    /// When for the first time.
    first: Timestamp,
    /// The highest number under which it was claimed in the store.
    claimed: u32,
}

/// Faults after which everybody knows where a refresh token is.
const HARMLESS: [Fault; 3] = [Fault::Transient, Fault::NotSent, Fault::Suspend];
/// Those after which whoever is alive finds out.
const CERTAIN: [Fault; 7] = [
    Fault::Transient,
    Fault::NotSent,
    Fault::Suspend,
    Fault::StoreUnavailable,
    Fault::StaleLoad,
    Fault::CommitLost,
    Fault::CommitUnanswered,
];
/// Faults after which a request can arrive late, which no client can rule out (limits 1 and 2).
const LATE_REQUEST: [Fault; 2] = [Fault::PauseBeforeSend, Fault::RequestDelayed];

impl Past {
    fn only(&self, faults: &[Fault]) -> bool {
        self.suffered.iter().all(|fault| faults.contains(fault))
    }

    fn any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.suffered.contains(fault))
    }

    /// A process dies, and all that only it had.
    pub(super) fn dies(&mut self, process: &Process) {
        let arrived = |out: &Out| matches!(out.what, What::Arrived { result: Ok(_), .. });
        self.copy_lost |= process.in_hand().is_some() || process.known.out.iter().any(arrived);
    }

    /// A request leaves a process.
    pub(super) fn sends(
        &mut self,
        world: &World,
        setting: &Setting,
        p: u8,
        epoch: Epoch,
        rt: Rt,
    ) -> Result<(), Violation> {
        let process = &world.processes[usize::from(p)];
        let token = self.tokens.entry(rt).or_default();
        let (before, first) = (token.sent, token.first);
        if before == 0 {
            token.first = world.now;
        }
        token.sent += 1;
        if setting.shared && setting.policy != AmbiguousPolicy::NonRotating {
            let claimed = token.claimed;
            must(claimed > before, "I-23", || {
                format!("r{rt} is sent for the {}. time, and claimed {claimed} times", before + 1)
            })?;
        }
        if before == 0 || self.any(&LATE_REQUEST) {
            return Ok(());
        }
        if world.server.kind == Kind::Static {
            // It stays in force.
            self.labels.0.push("presented again: not rotating");
            return Ok(());
        }
        must(!self.only(&HARMLESS), "I-02", || format!("r{rt} is sent again, though nothing was lost"))?;
        let limit = setting.config().exchange_limit;
        let prompt = before == 1 && world.now.after(limit) <= first.after(WINDOW);
        let nothing_left = process.machine.current().is_none() || process.machine.epoch() > epoch;
        let last_resort = nothing_left && setting.policy.last_resort();
        let (may, branch) = match setting.policy {
            AmbiguousPolicy::UntilUsed if before == 1 => (true, "presented again: until used"),
            AmbiguousPolicy::Once { .. } if prompt => (true, "presented again: inside the window"),
            _ => (last_resort, "presented again: last resort"),
        };
        self.labels.0.push(branch);
        must(may, "I-02", || {
            let ago = world.now.since(first);
            format!("r{rt} is sent for the {}. time, {ago:?} after the first", before + 1)
        })
    }

    /// A record replaces the one in the store.
    pub(super) fn commits(
        &mut self,
        world: &World,
        setting: &Setting,
        p: usize,
        new: &Record,
    ) -> Result<(), Violation> {
        let process = &world.processes[p];
        if let Some(old) = &world.store.record {
            if old.session != new.session {
                must(!self.over.contains(&new.session), "rule 11", || "a session comes back".to_owned())?;
                self.over.push(old.session);
            } else {
                self.goes_on(world, setting, p, old, new)?;
            }
        }
        if new.body == Body::SignedOut {
            let known = &process.known;
            must(known.ended.contains(&new.session) || known.ends_any, "rule 10", || {
                "a session is signed out that nobody meant".to_owned()
            })?;
        }
        self.written_at = world.now;
        if let Some(grant) = new.grant() {
            self.saved.insert(id(grant.access_token()));
            let token = self.tokens.entry(refresh_of(grant)).or_default();
            if world.store.record.as_ref().is_some_and(|old| old.serial < new.serial) {
                // A refresh token that stays in force is counted anew with each grant.
                *token = Token::default();
            }
            if new.holder.is_some() {
                token.claimed = token.claimed.max(new.presented);
            }
            let (sent, presented) = (token.sent, new.presented);
            // Where presenting again does no harm, a lost answer does not count.
            let harmless = setting.policy == AmbiguousPolicy::NonRotating;
            must(presented >= sent || harmless || self.any(&LATE_REQUEST), "I-23", || {
                format!("the store says {presented} presentations, and there were {sent}")
            })?;
        }
        Ok(())
    }

    fn goes_on(
        &self,
        world: &World,
        setting: &Setting,
        p: usize,
        old: &Record,
        new: &Record,
    ) -> Result<(), Violation> {
        must(old.body != Body::SignedOut, "SESS-04", || "a sign-out is undone".to_owned())?;
        let (Some(before), Some(after)) = (old.grant(), new.grant()) else { return Ok(()) };
        must(new.serial >= old.serial, "rule 5", || "the serial goes back".to_owned())?;
        if new.serial == old.serial {
            must(before == after, "MP-07", || "another grant under the same serial".to_owned())?;
            must(new.presented <= 1 || new.first_at == old.first_at, "rule 4", || {
                "the first presentation is moved".to_owned()
            })?;
            let me = world.processes[p].machine.me;
            let foreign = old.holder.is_some_and(|holder| holder.claimant != me);
            must(!foreign || new.holder.is_some(), "rule 4", || "a foreign claim is cleared".to_owned())?;
            let machine = &world.processes[p].machine;
            let signs_in = machine.pending.is_some() && machine.session == Some(new.session);
            must(!signs_in, "rule 11", || "a sign-in is written over itself".to_owned())?;
        } else {
            let disordered = self.any(&LATE_REQUEST);
            must(refresh_of(after) >= refresh_of(before) || disordered, "I-11", || {
                format!("r{} is replaced by the older r{}", refresh_of(before), refresh_of(after))
            })?;
            must(id(after.access_token()) > id(before.access_token()) || disordered, "I-11", || {
                "a grant is replaced by an older one".to_owned()
            })?;
            must(new.holder.is_none() && new.presented == 0, "MP-07", || {
                "a save keeps the claim".to_owned()
            })?;
            let sent = self.tokens.get(&refresh_of(before)).map_or(0, |token| token.sent);
            let harmless = setting.policy == AmbiguousPolicy::NonRotating;
            must(new.contested || sent <= 1 || harmless, "rule 7", || {
                format!("r{} was sent {sent} times, and its successor is not marked", refresh_of(before))
            })?;
        }
        let me = world.processes[p].machine.me;
        if old.contested && old.presented == 0 && new.holder.is_some() {
            let rested = world.now.since(self.written_at);
            must(rested >= world.processes[p].machine.config.term(), "rule 7", || {
                format!("a contested refresh token rested {rested:?} only")
            })?;
        }
        if let (Some(holder), Some(next)) = (old.holder, new.holder)
            && holder.claimant != next.claimant
        {
            must(next.claimant == me, "rule 4", || "a claim for somebody else".to_owned())?;
            must(!self.only(&HARMLESS), "rule 4", || "a healthy claim is taken over".to_owned())?;
            let seen = world.now.since(self.written_at);
            must(seen >= holder.term, "rule 4", || format!("a claim is taken over after {seen:?}"))?;
        }
        Ok(())
    }

    /// The end of an effect is told to a process.
    pub(super) fn hears(
        &mut self,
        world: &mut World,
        _setting: &Setting,
        p: u8,
        out: &Out,
        event: &Event,
    ) -> Result<(), Violation> {
        let epoch = world.processes[usize::from(p)].machine.epoch();
        let known = &mut world.processes[usize::from(p)].known;
        known.heard_orphan = out.epoch < epoch;
        let read =
            |record: &Record| record.grant().map(|grant| (record.session, record.serial, refresh_of(grant)));
        match (event, &out.what) {
            (Event::Loaded { result: Err(_), .. } | Event::Committed { result: Err(_), .. }, _) => {
                known.blind |= out.epoch == epoch;
            }
            (Event::Loaded { result: Ok(stored), .. }, _) => {
                known.blind = false;
                known.read = stored.record.as_ref().and_then(read).or(known.read);
            }
            (Event::Committed { result: Ok(_), .. }, What::Commit { record, .. }) => {
                known.read = read(record).or(known.read);
                if let Some(grant) = record.grant().filter(|_| record.born > 0) {
                    known.delayed &= !self.saved.contains(&id(grant.access_token()));
                }
            }
            (Event::Exchanged { result: Err(error), .. }, what) => match error {
                ExchangeError::Permanent => known.refused.extend(what.rt()),
                ExchangeError::Transient { retry_after } if out.epoch == epoch => {
                    let clock = world.processes[usize::from(p)].machine.now.max(world.now);
                    let known = &mut world.processes[usize::from(p)].known;
                    known.not_before = clock.after(retry_after.unwrap_or_default());
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// A call is about to be made.
    pub(super) fn asked(&mut self, world: &mut World, p: u8, call: &Call) {
        let now = world.now;
        let process = &mut world.processes[usize::from(p)];
        let (session, known) = (process.machine.session, &mut process.known);
        match call {
            Call::Reject(token) if Some(*token) == known.cell && std::mem::take(&mut known.fresh) => {
                known.fruitless += 1;
                known.fruitless_at = now;
            }
            Call::SignIn(..) | Call::SignOut => {
                if matches!(call, Call::SignOut) {
                    let stored = world.store.record.as_ref().map(|record| record.session);
                    let drawn = process.machine.drawn.iter().copied();
                    known.ended.extend(session.or(stored).into_iter().chain(drawn));
                }
                known.ends_any |= session.is_none() && matches!(call, Call::SignOut);
                known.left |= session.is_some() || matches!(call, Call::SignOut);
                known.refused.clear();
                (known.fresh, known.fruitless, known.delayed) = (false, 0, false);
                (known.newest, known.before, known.read) = (None, None, None);
                self.copy_lost = true;
            }
            _ => {}
        }
    }

    /// The immediate answer to a demand.
    pub(super) fn answered(
        &mut self,
        world: &World,
        setting: &Setting,
        p: u8,
        call: &Call,
        answer: &Acquire,
    ) -> Result<(), Violation> {
        let process = &world.processes[usize::from(p)];
        match (call, answer) {
            (Call::Reject(refused), Acquire::Ready(token)) => {
                must(token.id > *refused, "I-06", || {
                    format!("{refused} was refused, and {} is served", token.id)
                })?;
            }
            (Call::Reject(refused), _) if process.known.cell.is_some_and(|cell| cell > *refused) => {
                must(refused.epoch < process.machine.epoch(), "I-07", || {
                    "a late refusal is not served".to_owned()
                })?;
            }
            (_, Acquire::Failed(failure)) => {
                if matches!(call, Call::Reject(_)) {
                    self.labels.0.push("a stored failure served to a late refusal");
                }
                self.failed(world, setting, failure.kind)?;
            }
            _ => {}
        }
        must(
            process.known.waiting.len() <= setting.queue - usize::from(matches!(answer, Acquire::Wait(_))),
            "I-22",
            || "the queue is too long".to_owned(),
        )
    }

    /// A caller gets no token.
    fn failed(&self, world: &World, setting: &Setting, kind: FailureKind) -> Result<(), Violation> {
        let changed = setting.sign_ins + setting.sign_outs > 0;
        let doubtful = matches!(kind, FailureKind::Uncertain | FailureKind::RefusedAfterAmbiguity);
        must(!doubtful || !self.only(&CERTAIN), "OBS-02", || format!("{kind:?} without cause"))?;
        let bounded = matches!(
            kind,
            FailureKind::RateLimited | FailureKind::RefusedAfterRefresh | FailureKind::QueueFull
        );
        must(bounded || changed || !self.suffered.is_empty(), "I-20", || {
            format!("{kind:?}, though nothing went wrong")
        })?;
        let refused = matches!(kind, FailureKind::Refused | FailureKind::RefusedAfterAmbiguity);
        must(!refused || world.server.kind != Kind::Static, "I-20", || {
            "refused by a server that refuses nothing".to_owned()
        })
    }

    /// One thing that the machine says.
    pub(super) fn told(
        &mut self,
        world: &mut World,
        setting: &Setting,
        p: u8,
        call: &Call,
        action: &Action,
    ) -> Result<(), Violation> {
        let family = |world: &World| {
            let record = world.store.record.as_ref()?;
            record.grant().map(|grant| world.server.family(refresh_of(grant)))
        };
        match action {
            Action::Publish(Some(token)) => {
                let newest = world.processes[usize::from(p)].known.newest;
                must(newest.is_none_or(|newest| newest < token.id), "I-09", || {
                    format!("{} follows {newest:?}", token.id)
                })?;
            }
            Action::Publish(None) | Action::Notify(Notice::SaveDelayed) => {
                let known = &mut world.processes[usize::from(p)].known;
                known.delayed |= matches!(action, Action::Notify(_));
            }
            Action::Notify(Notice::Installed { origin, .. }) => {
                let process = &mut world.processes[usize::from(p)];
                let access =
                    process.machine.current.as_ref().map(|current| id(&current.snapshot.access_token));
                let known = &mut process.known;
                known.fresh = *origin == Origin::Exchange;
                if *origin != Origin::Exchange {
                    known.fruitless = 0;
                }
                let saved = access.is_some_and(|access| self.saved.contains(&access));
                must(
                    saved || !setting.shared || *origin != Origin::Exchange || known.delayed,
                    "I-16",
                    || format!("a{access:?} is used before it is saved"),
                )?;
            }
            Action::Notify(_) => {}
            Action::Resolve { waiter, outcome } => {
                let process = &world.processes[usize::from(p)];
                let waiting = process.known.waiting.iter().find(|waiting| waiting.id == *waiter).cloned();
                let Some(waiting) = waiting else {
                    return must(false, "I-04", || "an answer to somebody who does not wait".to_owned());
                };
                match outcome {
                    Ok(token) => {
                        must(waiting.refused.is_none_or(|refused| refused < token.id), "I-06", || {
                            format!("{:?} was refused, and {} is served", waiting.refused, token.id)
                        })?;
                        let of = world.server.family_of_access(id(&token.access_token));
                        let mine = waiting.refused.is_none_or(|refused| refused.epoch == token.id.epoch);
                        must(mine && waiting.epoch == token.id.epoch, "I-10", || {
                            format!("a token of family {of} for somebody of epoch {:?}", waiting.epoch)
                        })?;
                    }
                    Err(failure) => self.failed(world, setting, failure.kind)?,
                }
            }
            Action::Run(Effect::Exchange { refresh, send_by, .. }) => {
                let rt = refresh.as_ref().map_or(u8::MAX, id);
                let process = &world.processes[usize::from(p)];
                let latest = process.known.claimed_at.after(setting.config().send_limit);
                must(*send_by <= latest || !setting.shared, "rule 4", || {
                    "the time to send does not count from the issue of the claim".to_owned()
                })?;
                let beside = setting.shared && process.machine.unsaved.is_some();
                must(!beside, "rule 5", || "an exchange beside a grant in hand".to_owned())?;
                self.exchange(world, setting, p, rt)?;
            }
            Action::Run(Effect::Revoke { refresh }) => {
                let revoked = world.server.family(id(refresh));
                if world.processes[usize::from(p)].known.heard_orphan {
                    self.labels.0.push("an orphan revoked");
                }
                let live = !world.store.is_tombstone() && family(world) == Some(revoked);
                // Whoever signed in or out means the end of what it had before.
                let meant = world.processes[usize::from(p)].known.left;
                must(!live || meant, "rule 6", || "the grant in the store is revoked".to_owned())?;
            }
            Action::Run(Effect::Commit { record, .. }) if record.holder.is_some() => {
                world.processes[usize::from(p)].known.claimed_at =
                    world.processes[usize::from(p)].machine.now;
            }
            Action::Run(Effect::Load { .. } | Effect::Commit { .. }) => {}
        }
        if let Action::Run(Effect::Commit { .. } | Effect::Exchange { .. }) = action {
            must(!world.processes[usize::from(p)].known.blind, "rule 1", || {
                "it goes on without a look at the store".to_owned()
            })?;
        }
        if let (Call::Event(Event::Exchanged { result: Ok(_), .. }), true) =
            (call, matches!(action, Action::Publish(Some(_)) | Action::Run(Effect::Commit { .. })))
        {
            must(!world.processes[usize::from(p)].known.heard_orphan, "I-11", || {
                "what an ended session fetched is used".to_owned()
            })?;
        }
        Ok(())
    }

    /// An exchange begins.
    fn exchange(&mut self, world: &mut World, setting: &Setting, p: u8, rt: Rt) -> Result<(), Violation> {
        let now = world.now;
        let config = setting.config();
        let process = &mut world.processes[usize::from(p)];
        let epoch = process.machine.epoch();
        let given_up = &process.machine.given_up;
        let beside =
            process.known.out.iter().any(|out| {
                out.epoch == epoch && out.what.rt().is_some() && !given_up.contains_key(&out.ticket)
            });
        must(!beside, "I-01", || "two exchanges at once".to_owned())?;
        let known = &mut process.known;
        must(known.cell.is_none(), "I-08", || "an exchange though the token was not refused".to_owned())?;
        must(!known.refused.contains(&rt), "I-12", || format!("r{rt} was refused to this process"))?;
        if let Some((.., newest)) = known.read {
            must(rt == newest, "I-15", || format!("r{rt} is presented, r{newest} was read last"))?;
        }
        must(now >= known.not_before, "I-13", || "before the server wants it".to_owned())?;
        known.starts.retain(|start| start.after(config.rate.window) > now);
        must(known.starts.len() < config.rate.starts as usize, "I-13", || "too many exchanges".to_owned())?;
        known.starts.push(now);
        let open =
            u32::from(known.fruitless) >= config.breaker && now < known.fruitless_at.after(config.cool_down);
        must(!open, "I-14", || "the breaker should be open".to_owned())
    }

    /// A call has been made.
    pub(super) fn after(
        &mut self,
        world: &mut World,
        setting: &Setting,
        p: u8,
        call: &Call,
        reply: &Reply,
        hand: Option<(Option<SessionId>, u64, Rt)>,
    ) -> Result<(), Violation> {
        let process = &mut world.processes[usize::from(p)];
        let (machine, in_hand) = (&process.machine, setting.shared && process.in_hand().is_some());
        must(
            !in_hand || machine.stage.is_refreshing() || machine.poll_timeout().is_some(),
            "rule 8",
            || "a grant in hand is saved only if somebody asks".to_owned(),
        )?;
        // An answer that nobody waits for any more is misuse, and changes nothing.
        must(!reply.misuse || reply.actions.is_empty(), "I-25", || format!("{call:?} is misuse, and acts"))?;
        let orphan = std::mem::take(&mut process.known.heard_orphan);
        if matches!(call, Call::SignIn(..) | Call::SignOut) {
            return must(process.known.waiting.is_empty(), "I-10", || {
                "somebody still waits for the old identity".to_owned()
            });
        }
        // The only copy is not let go while its predecessor is still in the store (rule 5).
        if let (Some((session, spent, rt)), true) = (hand, setting.shared)
            && process.in_hand().is_none_or(|(.., held)| held < rt)
            && let Some(record) = &world.store.record
        {
            let still = Some(record.session) == session && record.serial == spent && record.grant().is_some();
            must(!still || self.any(&LATE_REQUEST), "rule 5", || {
                format!("r{rt} is dropped, and the store has its predecessor")
            })?;
        }
        if let Call::Event(Event::Exchanged { result: Ok(grant), .. }) = call
            && setting.shared
            && !orphan
            && let Some(record) = &world.store.record
        {
            let rt = refresh_of(grant);
            let before = record.grant().map(refresh_of);
            let predecessor = record.session == process.machine.session.unwrap_or(record.session)
                && before.is_some_and(|before| {
                    before < rt && world.server.family(before) == world.server.family(rt)
                });
            let kept = process.in_hand().is_some_and(|(.., held)| held >= rt);
            must(kept || !predecessor || self.any(&LATE_REQUEST), "rule 5", || format!("r{rt} is dropped"))?;
        }
        Ok(())
    }

    /// Nothing can happen any more.
    pub(super) fn rests(world: &World, setting: &Setting) -> Result<(), Violation> {
        let past = &world.past;
        for process in &world.processes {
            must(process.known.waiting.is_empty(), "I-05", || "a caller is never answered".to_owned())?;
            must(process.machine.is_settled(), "I-19", || "what is owed is never paid".to_owned())?;
        }
        if let Some(record) = world.store.record.as_ref().filter(|record| !record.refused)
            && let Some(rt) = record.grant().map(refresh_of)
        {
            let refused = world.processes.iter().any(|process| process.known.refused.contains(&rt));
            must(!refused, "rule 9", || format!("r{rt} was refused, and nobody else is told"))?;
        }
        let stored = world.store.record.as_ref().and_then(Record::grant);
        let in_memory = world.processes.first().and_then(|process| process.machine.known.record.as_ref());
        let stored = if setting.shared { stored } else { in_memory.and_then(Record::grant) };
        let Some(rt) = stored.map(refresh_of) else { return Ok(()) };
        let family = world.server.family(rt);
        let end = world.server.families.get(usize::from(family)).and_then(|family| family.end);
        let careful = matches!(setting.policy, AmbiguousPolicy::Never { last_resort: false })
            || matches!(setting.policy, AmbiguousPolicy::Once { last_resort: false, .. })
                && matches!(setting.server, Kind::Window | Kind::LastWins);
        let excused = past.any(&LATE_REQUEST) || !careful && !past.only(&HARMLESS);
        must(end != Some(REUSE) || excused, "I-02", || "the family is revoked".to_owned())?;
        if end.is_some() || past.copy_lost || past.any(&LATE_REQUEST) {
            return Ok(());
        }
        let good = world.server.good(family);
        must(good == Some(rt), "rule 5", || {
            format!("the newest refresh token is lost: {good:?}, and r{rt} is stored")
        })?;
        // The last presentation may have been processed, and the policy does not allow another one.
        let ambiguous = world.store.record.as_ref().is_some_and(|record| record.presented > 0);
        if ambiguous && setting.policy != AmbiguousPolicy::NonRotating && !setting.policy.last_resort() {
            return Ok(());
        }
        for p in 0..world.processes.len() {
            let served = world.asked_once_more(setting, u8::try_from(p).unwrap_or_default())?;
            must(served, "I-20", || format!("process {p} is not served, though nothing is lost"))?;
        }
        Ok(())
    }
}
