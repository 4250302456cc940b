//! Every transition of the machine: the only file that writes its stage.
//!
//! A run is load, claim, exchange, save. Each step takes the [`Run`] by value and hands it on with the next effect, or
//! ends it with [`finish`](Machine::finish) or [`fail`](Machine::fail), so that no run can be forgotten.

use alloc::sync::Arc;
use core::{mem, time::Duration};

use crate::{
    Acquire, AmbiguousPolicy, Body, CommitError, Config, Effect, Event, ExchangeError, Failure, FailureKind,
    Generation, Grant, Machine, Notice, Origin, Persistence, Record, Retry, Secret, SessionId, Snapshot,
    StoreError, StoreOperation, Stored, Ticket, Timestamp, TokenId, Trigger, Version,
    machine::REMEMBERED,
    pending::{Next, Pending},
    protocol::{Decision, Lineage, Need, Unsaved, View},
    run::{Current, Failed, Presentation, Purpose, Run, Stage, Step},
};

/// Demands.
impl Machine {
    pub(crate) fn demand(&mut self, now: Timestamp) -> Acquire {
        if let Some(snapshot) = self.usable(now) {
            if !snapshot.is_fresh(now) {
                self.want(now);
            }
            return Acquire::Ready(snapshot);
        }
        if self.pending.as_ref().is_some_and(Pending::is_sign_out) {
            return Acquire::Failed(Failure::never(FailureKind::SignedOut));
        }
        self.want(now);
        match &self.stage {
            Stage::Refreshing(_) => match self.waiters.join(self.config.max_waiters) {
                Some(waiter) => Acquire::Wait(waiter),
                None => Acquire::Failed(Failure::at(FailureKind::QueueFull, now)),
            },
            Stage::Failed(failed) => Acquire::Failed(failed.failure),
            Stage::Idle => match self.usable(now) {
                Some(snapshot) => Acquire::Ready(snapshot),
                None => Acquire::Failed(Failure::never(FailureKind::NoCredentials)),
            },
        }
    }

    pub(crate) fn want(&mut self, now: Timestamp) {
        match &mut self.stage {
            Stage::Refreshing(run) => run.wanted = true,
            Stage::Failed(failed) if now < failed.look_at => {}
            Stage::Idle | Stage::Failed(_) => self.begin(true, now),
        }
    }

    pub(crate) fn usable(&self, now: Timestamp) -> Option<Arc<Snapshot>> {
        self.current().filter(|snapshot| snapshot.is_usable(now)).cloned()
    }

    pub(crate) fn need(&self, run: &Run, now: Timestamp) -> Need {
        match self.current().filter(|snapshot| snapshot.is_usable(now)) {
            _ if !run.wanted => Need::Nothing,
            Some(snapshot) if snapshot.is_fresh(now) => Need::Nothing,
            Some(_) => Need::Soon,
            None => Need::Now,
        }
    }

    /// Moves the clock, never back (TIME-04). Returns the time that counts.
    pub(crate) fn set_clock(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }

    /// What nearly every call begins with: moves the clock, and lets time have its effects.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Timestamp {
        let now = self.set_clock(now);
        if let Some(mut run) = self.stage.take_run_if(|run| run.give_up_at <= now) {
            if !run.spared && run.give_up_at.after(Config::SLACK) <= now {
                // Nobody looked for a while, so the process stood still, and the answer may be there to be read: whoever
                // reads it gets the time that another process would get (rule 4).
                let give_up_at = now.after(Config::SLACK);
                self.stage = Stage::Refreshing(Run { spared: true, give_up_at, ..run });
                return now;
            }
            run.spared = false;
            if let Step::Exchange(presentation) = &run.step {
                self.remember(run.ticket, presentation.clone());
            }
            self.on_abandoned(run, now);
        }
        if let Stage::Failed(Failed { failure: Failure { retry: Retry::At(until), .. }, .. }) = self.stage
            && until <= now
        {
            self.stage = Stage::Idle;
        }
        if self.owes() && self.settle_at <= now && !self.stage.is_refreshing() {
            self.begin(false, now);
        }
        now
    }
}

/// The run: load, claim, exchange, save. Each step takes the run and hands it on, or ends it.
impl Machine {
    pub(crate) fn begin(&mut self, wanted: bool, now: Timestamp) {
        let run = Run::new(wanted, self.stage.take_failure());
        match self.config.persistence {
            Persistence::Memory => self.proceed(run, now),
            Persistence::Shared => self.load(run, now),
        }
    }

    /// The effect that is out came to an end, and the answer fits it.
    pub(crate) fn complete(&mut self, event: Event) {
        let now = self.now;
        let Some(run) = self.stage.take_run_if(|_| true) else { return };
        let run = Run { spared: false, ..run };
        match event {
            Event::Loaded { result, .. } => self.on_loaded(run, result, now),
            Event::Committed { result, .. } => self.on_committed(run, result, now),
            Event::Exchanged { sent_at, result, .. } => self.on_exchanged(run, sent_at, result, now),
            Event::Abandoned { .. } => self.on_abandoned(run, now),
        }
    }

    pub(crate) fn load(&mut self, run: Run, not_before: Timestamp) {
        let ticket = self.ticket();
        let give_up_at = not_before.max(self.now).after(self.config.exchange_limit).after(Config::SLACK);
        self.stage = Stage::Refreshing(Run { step: Step::Load, ticket, give_up_at, ..run });
        self.outbox.run(Effect::Load { ticket, not_before });
    }

    pub(crate) fn load_later(&mut self, run: Run, now: Timestamp) {
        let pause = self.watch.next_pause(&mut self.rng);
        self.load(run, now.after(pause));
    }

    pub(crate) fn on_loaded(&mut self, run: Run, result: Result<Stored, StoreError>, now: Timestamp) {
        if result.is_err() {
            self.outbox.notify(Notice::StoreFailed { operation: StoreOperation::Load });
        }
        match result {
            // A load may be stale; a decision that no commit would check must not be taken on it (rule 12).
            Ok(stored) if stored.version < self.known.version => self.store_trouble(run, now),
            Ok(stored) => {
                self.watch.saw(stored.version, now);
                let mine = stored.record.as_ref().is_some_and(|record| record.is_held_by(self.me));
                // An unanswered claim may land as long as the version is the one that it was issued over.
                self.claimed = self.claimed.filter(|over| mine || stored.version <= *over);
                self.known = stored;
                self.proceed(run, now);
            }
            Err(StoreError) if self.unsaved.as_ref().is_some_and(|unsaved| !unsaved.installed) => {
                self.store_trouble(run, now);
            }
            Err(StoreError) => self.fail(run, store_failure(now), now),
        }
    }

    /// Decides about the record that was just read or written, and acts.
    pub(crate) fn proceed(&mut self, mut run: Run, now: Timestamp) {
        if let Some(pending) = &mut self.pending {
            let sign_out = pending.is_sign_out();
            match pending.next(self.known.record.as_ref(), &self.drawn) {
                Next::Commit(record) => return self.commit(run, Purpose::Establish, record, now),
                Next::Superseded | Next::Done if sign_out => return self.signed_out(run, now),
                Next::Superseded => return self.ended(run, FailureKind::SessionEnded, now),
                Next::Done => self.pending = None,
            }
        }
        let view = View {
            config: &self.config,
            now,
            me: self.me,
            need: self.need(&run, now),
            session: self.session,
            serial: self.current.as_ref().map_or(0, |current| current.serial),
            lineage: self.lineage,
            unsaved: self.unsaved.as_ref(),
            credit: self.watch.credit(),
            claimed: self.claimed.is_some(),
        };
        let decision = view.decide(self.known.record.as_ref());
        if decision == Decision::Watch {
            run.watching_since.get_or_insert(now);
        } else {
            self.stop_watching(&mut run, now);
        }
        match (decision, &self.known.record) {
            (Decision::Ended(kind), _) => self.ended(run, kind, now),
            (Decision::Claim { n, latest }, _) => self.claim(run, n, latest, now),
            (Decision::Save, Some(record)) => {
                let Some(unsaved) = &self.unsaved else { return self.finish(run, now) };
                let renewed = record.renewed(unsaved, self.me);
                self.commit(run, Purpose::Save, renewed, now);
            }
            (Decision::Saved, Some(_)) => self.saved(run, now),
            (Decision::Supersede, Some(_)) => self.supersede(run, now),
            (Decision::Adopt, Some(_)) => self.adopt(run, now),
            (Decision::Release, _) => {
                let released = self.record_to_write().released(self.me, self.lineage.sent);
                self.commit(run, Purpose::Release(None), released, now);
            }
            (Decision::Mark, Some(record)) => {
                let marked = record.clone().marked(self.me);
                self.commit(run, Purpose::Mark, marked, now);
            }
            (Decision::Watch, _) => self.load_later(run, now),
            (Decision::Fail(kind), _) => self.stop(run, self.refusal(kind, now), now),
            (
                Decision::Rest
                | Decision::Save
                | Decision::Saved
                | Decision::Supersede
                | Decision::Adopt
                | Decision::Mark,
                _,
            ) => self.finish(run, now),
        }
    }

    /// What was read, to be changed and written; the record of a new session, if there was none.
    pub(crate) fn record_to_write(&mut self) -> Record {
        match &self.known.record {
            Some(record) => record.clone(),
            None => Record::vacant(self.draw_session()),
        }
    }

    pub(crate) fn adopt(&mut self, run: Run, now: Timestamp) {
        self.session = self.known.record.as_ref().map(|record| record.session);
        let usable = self.install_known(Origin::Adoption, now);
        let run = if usable { run.satisfied() } else { run };
        self.proceed(run, now);
    }

    pub(crate) fn claim(&mut self, run: Run, n: u32, latest: Timestamp, now: Timestamp) {
        if let Err(failure) = self.pacing.gate(&self.config, now) {
            return self.stop(run, failure, now);
        }
        let record = self.record_to_write();
        if record.holder.is_some() && !record.is_held_by(self.me) {
            self.outbox.notify(Notice::TakenOver);
        }
        // The sender's own limit counts from here, not from the commit's answer (rule 4).
        let send_by = now.after(self.config.send_limit).min(latest);
        self.claimed = Some(self.known.version);
        let claimed = record.claimed(self.me, self.config.term(), n, now);
        self.commit(run, Purpose::Claim { n, send_by }, claimed, now);
    }

    pub(crate) fn commit(&mut self, run: Run, purpose: Purpose, record: Record, now: Timestamp) {
        match self.config.persistence {
            Persistence::Memory => {
                self.known.record = Some(record);
                self.written(run, purpose, now);
            }
            Persistence::Shared => {
                let ticket = self.ticket();
                let give_up_at = now.after(self.config.exchange_limit).after(Config::SLACK);
                let step = Step::Commit { purpose, record: record.clone() };
                self.stage = Stage::Refreshing(Run { step, ticket, give_up_at, ..run });
                self.outbox.run(Effect::Commit { ticket, expected: self.known.version, record });
            }
        }
    }

    pub(crate) fn on_committed(
        &mut self,
        mut run: Run,
        result: Result<Version, CommitError>,
        now: Timestamp,
    ) {
        let Step::Commit { purpose, record } = mem::replace(&mut run.step, Step::Load) else {
            return self.finish(run, now);
        };
        match result {
            Ok(_) => {}
            Err(CommitError::Conflict) => self.outbox.notify(Notice::CommitConflict),
            Err(CommitError::Unavailable) => {
                self.outbox.notify(Notice::StoreFailed { operation: StoreOperation::Commit });
            }
        }
        match (result, purpose) {
            (Ok(version), purpose) => {
                self.known = Stored { version, record: Some(record) };
                self.watch.saw(version, now);
                run.trouble_since = None;
                self.written(run, purpose, now);
            }
            // A claim that cannot be given back now is owed to the store.
            (Err(_), Purpose::Release(Some(failure))) if self.unsaved.is_none() => {
                self.fail(run, failure, now);
            }
            (Err(_), Purpose::Release(None)) if !run.wanted => self.finish(run, now),
            // An unanswered commit proves nothing: load and look (rule 1).
            (Err(CommitError::Conflict), _) if !mem::replace(&mut run.conflict, true) => self.load(run, now),
            (Err(CommitError::Conflict), _) => self.load_later(run, now),
            (Err(CommitError::Unavailable), purpose) => {
                if let (Purpose::Establish, Some(pending)) = (purpose, &mut self.pending) {
                    pending.unanswered();
                }
                self.store_trouble(run, now);
            }
        }
    }

    pub(crate) fn written(&mut self, mut run: Run, purpose: Purpose, now: Timestamp) {
        match purpose {
            // A late answer came while the claim was written.
            Purpose::Claim { .. } if self.unsaved.is_some() || self.lineage.verdict.is_some() => {
                self.proceed(run, now);
            }
            Purpose::Claim { n, send_by } if now <= send_by => self.exchange(run, n, send_by, now),
            // Too late to send: once more, and then the store is too slow.
            Purpose::Claim { .. } if !mem::replace(&mut run.late, true) => self.proceed(run, now),
            Purpose::Claim { .. } => self.stop(run, store_failure(now), now),
            Purpose::Save => self.saved(run, now),
            Purpose::Mark => {
                self.claimed = None;
                match self.lineage.verdict.filter(|_| self.unsaved.is_none()) {
                    Some(kind) => self.fail(run, Failure::never(kind), now),
                    // A late answer, or a reset, came while the mark was written.
                    None => self.proceed(run, now),
                }
            }
            Purpose::Release(failure) => {
                self.claimed = None;
                match failure.filter(|_| self.unsaved.is_none()) {
                    Some(failure) => self.fail(run, failure, now),
                    None => self.proceed(run, now),
                }
            }
            Purpose::Establish => self.proceed(run, now),
        }
    }

    pub(crate) fn exchange(&mut self, run: Run, n: u32, send_by: Timestamp, now: Timestamp) {
        let ticket = self.ticket();
        let Some(record) = &self.known.record else { return self.finish(run, now) };
        self.session = Some(record.session);
        let presentation = Presentation {
            epoch: self.epoch,
            serial: record.serial,
            spent: record.grant().cloned(),
            n,
            trigger: self.trigger(),
            replaces: self.current.as_ref().map(|current| current.snapshot.id),
            started: now,
            send_by,
        };
        if self.lineage.serial != record.serial {
            self.lineage = Lineage { serial: record.serial, ..Lineage::default() };
        }
        self.lineage.forgiven = false;
        let refresh = record.grant().and_then(Grant::refresh_token).cloned();
        let limit = self.config.exchange_limit;
        let give_up_at = send_by.after(limit).after(Config::SLACK);
        self.pacing.started(now);
        self.outbox.notify(Notice::ExchangeStarted { exchange: presentation.exchange() });
        self.outbox.run(Effect::Exchange { ticket, refresh, send_by, limit, scope: run.scope });
        let step = Step::Exchange(presentation);
        self.stage = Stage::Refreshing(Run { step, ticket, give_up_at, ..run });
    }

    /// Why the exchange that is about to begin is made.
    pub(crate) fn trigger(&self) -> Trigger {
        match &self.current {
            _ if self.lineage.forgiven => Trigger::Reset,
            None => Trigger::NoToken,
            Some(current) if current.refused => Trigger::Refusal,
            Some(_) => Trigger::Expiry,
        }
    }

    pub(crate) fn on_exchanged(
        &mut self,
        mut run: Run,
        sent_at: Timestamp,
        result: Result<Grant, ExchangeError>,
        now: Timestamp,
    ) {
        let Step::Exchange(presentation) = mem::replace(&mut run.step, Step::Load) else {
            return self.finish(run, now);
        };
        self.outbox.notify(Notice::ExchangeEnded {
            exchange: presentation.exchange(),
            error: result.as_ref().err().copied(),
            took: now.since(presentation.started),
        });
        let error = match result {
            Ok(grant) => {
                self.hold(&presentation, grant, sent_at, now);
                return self.proceed(run, now);
            }
            Err(error) => error,
        };
        let certain = self.config.ambiguous == AmbiguousPolicy::NonRotating;
        let unsent = presentation.n.saturating_sub(1);
        match error {
            ExchangeError::Permanent => {
                self.refused(&presentation);
                self.proceed(run, now);
            }
            ExchangeError::Ambiguous { retry_after } if !certain => {
                self.lineage.sent = presentation.n;
                self.on_ambiguous(run, presentation.n, retry_after, now);
            }
            _ if run.goes_on_after(error, &presentation, now) => {
                self.lineage.sent = unsent;
                self.reconsider(run, now);
            }
            ExchangeError::NotSent
            | ExchangeError::Ambiguous { .. }
            | ExchangeError::Transient { .. }
            | ExchangeError::Unexplained
            | ExchangeError::Interaction
            | ExchangeError::Misconfigured
            | ExchangeError::InvalidRequest
            | ExchangeError::InvalidScope => {
                self.lineage.sent = unsent;
                let failure = self.answered(error, now);
                self.stop(run, failure, now);
            }
        }
    }

    /// The server answered, or nothing was sent: this presentation does not count.
    pub(crate) fn answered(&mut self, error: ExchangeError, now: Timestamp) -> Failure {
        let Self { pacing, config, rng, lineage, .. } = self;
        match error {
            ExchangeError::Transient { retry_after } | ExchangeError::Ambiguous { retry_after } => {
                pacing.back_off(FailureKind::Transient, retry_after, config, rng, now)
            }
            ExchangeError::Unexplained => pacing.unexplained(config, rng, now),
            ExchangeError::Interaction | ExchangeError::InvalidScope => {
                lineage.verdict = Some(FailureKind::Interaction);
                Failure::never(FailureKind::Interaction)
            }
            ExchangeError::Misconfigured | ExchangeError::InvalidRequest => {
                pacing.hold(FailureKind::Misconfigured, now.after(config.cool_down))
            }
            ExchangeError::NotSent | ExchangeError::Permanent => {
                pacing.back_off(FailureKind::Transient, None, config, rng, now)
            }
        }
    }

    pub(crate) fn on_ambiguous(&mut self, run: Run, n: u32, retry_after: Option<Duration>, now: Timestamp) {
        // A server that names a time is not asked before it (RETRY-05); whether the window is still open then, the next
        // demand sees.
        let at_once = retry_after.unwrap_or_default().is_zero();
        let prompt = at_once
            && match self.config.ambiguous {
                AmbiguousPolicy::Once { .. } | AmbiguousPolicy::UntilUsed => n == 1,
                AmbiguousPolicy::NonRotating | AmbiguousPolicy::Never { .. } => false,
            };
        if prompt {
            return self.reconsider(run, now);
        }
        let Self { pacing, config, rng, .. } = self;
        let mut failure = pacing.back_off(FailureKind::Uncertain, retry_after, config, rng, now);
        if !config.ambiguous.last_resort() {
            failure.retry = Retry::Never;
        }
        self.stop(run, failure, now);
    }

    /// Before a refresh token is presented again the store is read again (RETRY-03).
    pub(crate) fn reconsider(&mut self, run: Run, now: Timestamp) {
        match self.config.persistence {
            Persistence::Memory => self.proceed(run, now),
            Persistence::Shared => self.load(run, now),
        }
    }

    /// Nobody will answer this effect any more: takes the worst answer that it can have.
    pub(crate) fn on_abandoned(&mut self, run: Run, now: Timestamp) {
        match &run.step {
            Step::Load => self.on_loaded(run, Err(StoreError), now),
            Step::Commit { .. } => self.on_committed(run, Err(CommitError::Unavailable), now),
            Step::Exchange(presentation) => {
                let sent_at = presentation.started;
                self.on_exchanged(run, sent_at, Err(ExchangeError::Ambiguous { retry_after: None }), now);
            }
        }
    }

    /// The answer to an exchange that was given up or orphaned.
    pub(crate) fn on_late(
        &mut self,
        presentation: Presentation,
        sent_at: Timestamp,
        result: Result<Grant, ExchangeError>,
        now: Timestamp,
    ) {
        self.outbox.notify(Notice::AnsweredLate {
            exchange: presentation.exchange(),
            error: result.as_ref().err().copied(),
            took: now.since(presentation.started),
        });
        match result {
            Ok(grant) if presentation.epoch < self.epoch => {
                self.outbox.notify(Notice::Orphaned);
                self.revoke(grant.refresh_token());
            }
            Ok(grant) => {
                self.hold(&presentation, grant, sent_at, now);
                match &mut self.stage {
                    Stage::Refreshing(run) => run.trouble_since = None,
                    Stage::Idle | Stage::Failed(_) => self.begin(false, now),
                }
            }
            Err(ExchangeError::Permanent) if presentation.epoch == self.epoch => self.refused(&presentation),
            // The server wants to be left alone, whoever it answered (RETRY-05).
            Err(
                ExchangeError::Transient { retry_after: Some(wish) }
                | ExchangeError::Ambiguous { retry_after: Some(wish) },
            ) => self.pacing.put_off(now.after(wish.min(self.config.max_retry_after))),
            Err(_) => {}
        }
    }

    /// Takes a grant in hand. Of two successors of one refresh token the later one counts (rule 7).
    pub(crate) fn hold(
        &mut self,
        presentation: &Presentation,
        grant: Grant,
        sent_at: Timestamp,
        now: Timestamp,
    ) {
        let newer = |unsaved: &Unsaved| (unsaved.spent, unsaved.n) > (presentation.serial, presentation.n);
        if self.unsaved.as_ref().is_some_and(newer) {
            return;
        }
        let grant = match &presentation.spent {
            Some(spent) => spent.renewed_by(grant),
            None => grant,
        };
        self.unsaved = Some(Unsaved {
            grant,
            obtained_at: sent_at.max(presentation.started).min(now),
            spent: presentation.serial,
            n: presentation.n,
            installed: false,
        });
    }

    pub(crate) fn refused(&mut self, presentation: &Presentation) {
        if self.lineage.serial == presentation.serial {
            let again = presentation.n > 1;
            let kind = if again { FailureKind::RefusedAfterAmbiguity } else { FailureKind::Refused };
            self.lineage.verdict = Some(kind);
            self.lineage.forgiven = false;
        }
    }

    /// Granted means saved (I-16).
    pub(crate) fn saved(&mut self, run: Run, now: Timestamp) {
        self.claimed = None;
        self.pacing.succeeded();
        if let (Some(unsaved), Some(record)) = (&self.unsaved, &self.known.record)
            && unsaved.n != record.born
        {
            // A late answer brought a later successor while the earlier one was written: it is saved, too (rule 7).
            return self.proceed(run, now);
        }
        let installed = self.unsaved.take().is_some_and(|unsaved| unsaved.installed);
        if !installed {
            self.install_known(Origin::Exchange, now);
            return self.proceed(run.satisfied(), now);
        }
        self.outbox.notify(Notice::Saved);
        if let (Some(current), Some(record)) = (&mut self.current, &self.known.record) {
            current.serial = record.serial;
            self.lineage = Lineage { serial: record.serial, ..Lineage::default() };
        }
        self.proceed(Run { before: None, ..run }, now);
    }

    /// Another process stored something newer than the grant in hand, and possibly newer than what callers have of it.
    pub(crate) fn supersede(&mut self, run: Run, now: Timestamp) {
        if let (Some(Unsaved { spent, installed: true, .. }), Some(current)) =
            (self.unsaved.take(), &mut self.current)
        {
            current.serial = spent;
        }
        self.outbox.notify(Notice::Superseded);
        self.proceed(run, now);
    }

    /// The store failed in the middle of a run. Looks again for a while; then goes on with the grant in hand, or fails.
    pub(crate) fn store_trouble(&mut self, mut run: Run, now: Timestamp) {
        let since = *run.trouble_since.get_or_insert(now);
        if now.since(since) < self.config.save_limit {
            return self.load_later(run, now);
        }
        let Some(unsaved) = self.unsaved.as_mut().filter(|unsaved| !unsaved.installed) else {
            return self.fail(run, store_failure(now), now);
        };
        unsaved.installed = true;
        let body = Body::Grant { grant: unsaved.grant.clone(), obtained_at: unsaved.obtained_at };
        let (serial, born) = (unsaved.spent.saturating_add(1), unsaved.n);
        let session = self.session.unwrap_or(SessionId(0));
        self.outbox.notify(Notice::SaveDelayed);
        self.pacing.succeeded();
        self.install(&Record { serial, born, body, ..Record::vacant(session) }, Origin::Exchange, now);
        self.finish(run.satisfied(), now);
    }

    /// Ends a run with a failure, but gives back the claim first, and never drops a grant in hand.
    pub(crate) fn stop(&mut self, run: Run, failure: Failure, now: Timestamp) {
        if self.unsaved.is_some() {
            return self.proceed(run, now);
        }
        match &self.known.record {
            Some(record) if record.is_held_by(self.me) => {
                let released = record.clone().released(self.me, self.lineage.sent);
                self.commit(run, Purpose::Release(Some(failure)), released, now);
            }
            Some(_) | None => self.fail(run, failure, now),
        }
    }

    pub(crate) fn fail(&mut self, mut run: Run, failure: Failure, now: Timestamp) {
        self.stop_watching(&mut run, now);
        self.settle_at = now.after(Config::LOOK_AGAIN);
        if !run.wanted {
            // Nobody asked, so nobody is told; what was true before the run still is.
            self.stage = run.before.map_or(Stage::Idle, Stage::Failed);
            return;
        }
        let waiters = self.waiters.detach();
        self.outbox.notify(Notice::RefreshFailed { failure, released: waiters.len() });
        if failure.loses_session() {
            self.announce_loss(failure.kind);
        }
        self.close(failure, now);
        self.outbox.resolve(waiters, Err(failure));
    }

    /// The wait for another process is over, if there was one.
    pub(crate) fn stop_watching(&mut self, run: &mut Run, now: Timestamp) {
        if let Some(since) = run.watching_since.take() {
            self.outbox.notify(Notice::ClaimAwaited { waited: now.since(since) });
        }
    }

    pub(crate) fn finish(&mut self, run: Run, now: Timestamp) {
        self.settle_at = now.after(Config::LOOK_AGAIN);
        self.stage = run.before.map_or(Stage::Idle, Stage::Failed);
        let waiters = self.waiters.detach();
        let outcome = self.usable(now).ok_or(Failure::at(FailureKind::Transient, now));
        self.outbox.resolve(waiters, outcome);
    }
}

/// Epochs, tokens, and what is owed.
impl Machine {
    /// Installs the token of the record that was just read or written.
    pub(crate) fn install_known(&mut self, origin: Origin, now: Timestamp) -> bool {
        // Taken out for as long as it is looked at: a copy of it would be another copy of its secrets.
        let Some(record) = self.known.record.take() else { return false };
        let serves = self.install(&record, origin, now);
        self.known.record = Some(record);
        serves
    }

    /// Makes the token of a record the current one, and serves it: to those who wait, in the same step.
    /// Whether it can be used; an adopted token that cannot is known, but not served.
    pub(crate) fn install(&mut self, record: &Record, origin: Origin, now: Timestamp) -> bool {
        let Body::Grant { grant, obtained_at } = &record.body else { return false };
        let replaces = self.current.as_ref().map(|current| current.snapshot.id);
        self.generation.0 = self.generation.0.saturating_add(1);
        let id = TokenId { epoch: self.epoch, generation: self.generation };
        let snapshot = Arc::new(Snapshot::new(id, grant, *obtained_at, &self.config, &mut self.rng, now));
        let serve = origin != Origin::Adoption || snapshot.is_usable(now);
        let fresh = origin != Origin::SignIn && record.born > 0;
        let scope_before = self.current.as_ref().and_then(|current| current.snapshot.scope.as_ref());
        let scope_changed = scope_before.is_some() && scope_before != snapshot.scope.as_ref();
        if self.current.as_ref().is_some_and(|current| !current.refused) {
            // The last one served its time, so the row of fruitless ones is broken.
            self.pacing.accepted();
        }
        self.current =
            Some(Current { snapshot: snapshot.clone(), serial: record.serial, refused: false, fresh });
        self.lineage = Lineage { serial: record.serial, ..Lineage::default() };
        // What was published before is out of date either way.
        self.outbox.publish(serve.then(|| snapshot.clone()));
        if serve {
            let waiters = self.waiters.detach();
            self.outbox.notify(Notice::Installed { id, replaces, origin, released: waiters.len() });
            if scope_changed {
                self.outbox.notify(Notice::ScopeChanged { id });
            }
            self.outbox.resolve(waiters, Ok(snapshot));
        }
        serve
    }

    /// The id of a new identity.
    pub(crate) fn draw_session(&mut self) -> SessionId {
        let session = SessionId(self.rng.next());
        self.drawn.push_back(session);
        if self.drawn.len() > REMEMBERED {
            self.drawn.pop_front();
        }
        session
    }

    /// Forgets everything about this identity and fails everybody who waits for it (SESS-01). An exchange in flight is
    /// orphaned; a grant in hand is revoked, since its session is over.
    pub(crate) fn end_epoch(&mut self) {
        if let Some(Run { step: Step::Exchange(presentation), ticket, .. }) = self.stage.take_run_if(|_| true)
        {
            self.remember(ticket, presentation);
        }
        if let Some(unsaved) = self.unsaved.take() {
            self.outbox.notify(Notice::Orphaned);
            self.revoke(unsaved.grant.refresh_token());
        }
        self.stage = Stage::Idle;
        self.epoch.0 = self.epoch.0.saturating_add(1);
        self.generation = Generation::default();
        self.session = None;
        self.known.record = None;
        self.current = None;
        self.lineage = Lineage::default();
        self.lost = false;
        if let Some(pending) = self.pending.take() {
            self.revoke(pending.newest());
        }
        self.claimed = None;
        self.outbox.publish(None);
        let waiters = self.waiters.detach();
        self.outbox.resolve(waiters, Err(Failure::never(FailureKind::SessionEnded)));
    }

    /// Another process ended this identity, or replaced it by another one, which is then adopted.
    pub(crate) fn ended(&mut self, run: Run, kind: FailureKind, now: Timestamp) {
        self.announce_loss(kind);
        let record = self.known.record.take();
        self.end_epoch();
        self.pacing.signed_in();
        drop(run);
        match record {
            Some(record) if record.body != Body::SignedOut => {
                self.session = Some(record.session);
                self.known.record = Some(record);
                self.install_known(Origin::Adoption, now);
            }
            Some(_) | None => self.close(Failure::never(kind), now),
        }
    }

    /// The tombstone is written, or there was nothing to bury.
    pub(crate) fn signed_out(&mut self, run: Run, now: Timestamp) {
        let pending = self.pending.take();
        self.revoke(pending.as_ref().and_then(Pending::newest));
        self.finish(run, now);
    }

    pub(crate) fn revoke(&mut self, refresh: Option<&Secret>) {
        if let Some(refresh) = refresh {
            self.outbox.run(Effect::Revoke { refresh: refresh.clone() });
        }
    }

    pub(crate) fn remember(&mut self, ticket: Ticket, presentation: Presentation) {
        self.given_up.insert(ticket, presentation);
        if self.given_up.len() > REMEMBERED {
            self.given_up.pop_first();
        }
    }

    /// Says once in an epoch that its session is lost (OBS-03).
    pub(crate) fn announce_loss(&mut self, kind: FailureKind) {
        if !mem::replace(&mut self.lost, true) {
            self.outbox.notify(Notice::SessionLost { epoch: self.epoch, kind });
        }
    }

    /// The failure behind a decision that says no.
    pub(crate) fn refusal(&self, kind: FailureKind, now: Timestamp) -> Failure {
        if kind == FailureKind::Uncertain && self.config.ambiguous.last_resort() {
            return Failure::at(kind, now.after(Config::LOOK_AGAIN));
        }
        Failure::never(kind)
    }

    /// Enters the failed state. Where another process may have refreshed, saved late or signed in, any failure is looked
    /// past (rule 9): a load costs the server nothing, and an exchange still has to wait.
    pub(crate) fn close(&mut self, failure: Failure, now: Timestamp) {
        let retry_at = match failure.retry {
            Retry::At(instant) => instant,
            Retry::Never => Timestamp::MAX,
        };
        let look_at = match self.config.persistence {
            Persistence::Memory => retry_at,
            Persistence::Shared => retry_at.min(now.after(Config::LOOK_AGAIN)),
        };
        self.stage = Stage::Failed(Failed { failure, look_at });
    }

    /// The reason of this failure may be gone: the next demand starts a run.
    pub(crate) fn look_again_if(&mut self, kind: FailureKind, now: Timestamp) {
        if let Stage::Failed(failed) = &mut self.stage
            && failed.failure.kind == kind
        {
            failed.look_at = now;
        }
    }

    /// Leaves the failed state, also one that is about to be entered.
    pub(crate) fn reopen(&mut self) {
        self.stage.take_failure();
        if let Stage::Refreshing(run) = &mut self.stage {
            run.before = None;
            if let Step::Commit { purpose: Purpose::Release(failure), .. } = &mut run.step {
                *failure = None;
            }
        }
    }

    pub(crate) fn owes(&self) -> bool {
        self.config.persistence == Persistence::Shared
            && (self.unsaved.is_some() || self.pending.is_some() || self.claimed.is_some())
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.saturating_add(1);
        Ticket(self.last_ticket)
    }
}

fn store_failure(now: Timestamp) -> Failure {
    Failure::at(FailureKind::StoreUnavailable, now.after(Config::LOOK_AGAIN))
}
