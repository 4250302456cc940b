//! What a machine writes into a shared store, and when it presents what it read there: the claim protocol, rule by
//! rule (I-16, I-23, MP-02, MP-03, MP-07, MP-09, PERS-01, PERS-02, PERS-05).

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Awaited, Source};
use super::{Case, Court};
use crate::subject::Policy;
use crate::vocabulary::{
    Answer, Body, Effect, Event, ExchangeError, Grant, Input, Notice, Output, Record, Retry, State,
};

/// No pause between two looks at the store is longer, and at most twice a pause is credited (rule 4).
const POLL_CAP: u64 = 500;
/// A final failure is looked past so often at most (rule 9).
const LOOK_AGAIN: u64 = 1000;

/// One observer per process.
#[derive(Default)]
pub(super) struct Claims {
    processes: BTreeMap<u8, Process>,
    /// Who used which claimant id.
    claimants: BTreeMap<u64, (u8, usize)>,
}

/// Names a refresh token: session and serial.
type Line = (u64, u64);

#[derive(Default)]
pub(super) struct Process {
    starts: usize,
    pub(super) claimant: Option<u64>,
    pub(super) watch: Watch,
    /// The highest presentation number that may really have been sent.
    pub(super) sent: BTreeMap<Line, u32>,
    /// Where an exchange that was given up turned out not to have been sent; that may be known or not.
    pub(super) late: BTreeSet<Line>,
    /// The exchanges that are out or given up: what they present, and as which number.
    presented: BTreeMap<u64, (Line, u32)>,
    /// What the server refused to this process, or for which it wants the user.
    pub(super) refused: BTreeSet<Line>,
    /// What is dead from the next call on: this one may have been told of it after it had decided.
    dying: Option<Line>,
    /// Of what was refused, what is dead.
    pub(super) dead: BTreeSet<Line>,
    pub(super) unsaved: Option<Unsaved>,
    /// Of these, what the application wanted to be tried once more.
    pub(super) forgiven: BTreeSet<Line>,
    /// Whether the application lifted refusals.
    pub(super) reset: bool,
    /// Whether this process was ever told to sign out.
    pub(super) signed_out: bool,
    /// The family that this process left last.
    pub(super) left: Option<usize>,
    last_look: Option<u64>,
}

/// For how long a process has seen the same version.
#[derive(Default)]
pub(super) struct Watch {
    version: u64,
    seen_at: u64,
    pub(super) credit: u64,
}

/// A grant that is not in the store yet.
pub(super) struct Unsaved {
    pub(super) grant: Grant,
    pub(super) spent: Line,
    pub(super) n: u32,
}

impl Claims {
    pub(super) fn check(&mut self, case: &Case, court: &mut Court) {
        if !case.history.settings.shared {
            return;
        }
        let process = self.processes.entry(case.entry.process).or_default();
        let base = process.input(case, court);
        process.look_again(case, court);
        for output in &case.entry.reply.outputs {
            match output {
                Output::Run(Effect::Commit { expected, record, .. }) => {
                    process.commit(case, base.as_ref(), *expected, record, court);
                    if let Some(holder) = record.holder {
                        let name = (case.entry.process, process.starts);
                        let owner = *self.claimants.entry(holder.claimant).or_insert(name);
                        let foreign =
                            base.as_ref().and_then(|(_, base)| base.as_ref()?.holder) == Some(holder);
                        court.must(foreign || owner == name, "rule 1", || {
                            format!("the claimant id {} is used by two", holder.claimant)
                        });
                    }
                }
                Output::Run(Effect::Exchange { ticket, refresh, .. }) => {
                    process.exchange(case, *ticket, refresh.as_deref(), court);
                }
                Output::Publish(Some(token)) => published(case, &token.access_token, court),
                _ => {}
            }
        }
    }
}

impl Process {
    /// Takes in what the machine is told, and returns what it knows to be stored.
    fn input(&mut self, case: &Case, court: &mut Court) -> Option<(u64, Option<Record>)> {
        self.dead.extend(self.dying.take());
        let mut base = case.view.record.clone();
        match &case.entry.input {
            None => *self = Self { starts: self.starts + 1, ..Self::default() },
            Some(Input::Reset) => {
                self.reset = true;
                // A claim that follows is the first of a new row, and stays it as long as it is not used.
                let marked =
                    base.as_ref().and_then(|(_, record)| record.as_ref()).filter(|record| record.refused);
                let marked = marked.map(|record| (record.session, record.serial));
                self.sent.retain(|line, _| !self.dead.contains(line) && Some(*line) != marked);
                self.forgiven.append(&mut self.dead);
            }
            Some(Input::SignIn(_)) => self.unsaved = None,
            Some(Input::SignOut) => {
                self.unsaved = None;
                self.signed_out = true;
                self.left = case.view.latest().and_then(|known| known.family);
            }
            Some(Input::Event(event)) if case.entry.reply.answer != Answer::Misuse => {
                let awaited = case.view.awaited(event.ticket());
                match (event, awaited.map(|awaited| &awaited.effect)) {
                    (Event::Loaded { result: Some(stored), .. }, _) if !case.view.is_stale(stored.0) => {
                        base = Some(stored.clone());
                        self.saw(stored.0, case.view.now);
                        self.compare(stored.1.as_ref());
                    }
                    (Event::Committed { result: Ok(version), .. }, Some(Effect::Commit { record, .. })) => {
                        base = Some((*version, Some(record.clone())));
                        self.saw(*version, case.view.now);
                        self.compare(Some(record));
                    }
                    (Event::Exchanged { result, .. }, _) => {
                        self.exchanged(case, event.ticket(), result, awaited, court);
                    }
                    (Event::Abandoned { ticket }, _) => {
                        self.exchanged(case, *ticket, &Err(ExchangeError::Ambiguous(None)), awaited, court);
                    }
                    (_, _) => {}
                }
            }
            _ => {}
        }
        base
    }

    /// Credit is time between two looks that saw the same version, but never more than twice a pause (rule 4).
    fn saw(&mut self, version: u64, now: u64) {
        let Watch { version: watched, seen_at, credit } = self.watch;
        let credit = if watched == version { credit + (now - seen_at).min(2 * POLL_CAP) } else { 0 };
        self.watch = Watch { version, seen_at: now, credit };
    }

    /// The grant in hand is saved, superseded, or of an ended session.
    fn compare(&mut self, record: Option<&Record>) {
        let keep = self.unsaved.as_ref().is_some_and(|unsaved| {
            record
                .is_some_and(|record| unsaved.belongs_over(record) && record.grant() != Some(&unsaved.grant))
        });
        if !keep {
            self.unsaved = None;
        }
    }

    fn exchanged(
        &mut self,
        case: &Case,
        ticket: u64,
        result: &Result<Grant, ExchangeError>,
        awaited: Option<&Awaited>,
        court: &mut Court,
    ) {
        let Some((line, n)) = self.presented.remove(&ticket) else { return };
        match result {
            Ok(grant) => {
                let stored = case.view.record.as_ref().and_then(|(_, record)| record.as_ref());
                let unsaved = Unsaved { grant: grant.clone(), spent: line, n };
                let current = awaited.is_some_and(|awaited| awaited.identity == case.view.identity);
                let newer = self.unsaved.as_ref().is_none_or(|unsaved| unsaved.n <= n);
                if current && newer && stored.is_some_and(|stored| unsaved.belongs_over(stored)) {
                    self.unsaved = Some(unsaved);
                }
            }
            Err(ExchangeError::Permanent) => {
                self.refused.insert(line);
                self.dying = Some(line);
                let begins =
                    |output: &Output| matches!(output, Output::Run(effect) if effect.ticket().is_some());
                let waited_for = awaited.is_some_and(|awaited| !awaited.given_up);
                let goes_on = case.entry.reply.outputs.iter().any(begins);
                court.must(goes_on || !waited_for, "rule 9", || {
                    format!("the refresh token of {line:?} is refused, and nobody is told")
                });
            }
            // Where presenting again can do no harm, it may as well never have been sent.
            Err(ExchangeError::Ambiguous(_)) if case.history.settings.policy != Policy::NonRotating => {}
            Err(error) => {
                if awaited.map_or(*error, |awaited| awaited.meaning(*error)) == ExchangeError::Interaction {
                    self.refused.insert(line);
                }
                let sent = self.sent.entry(line).or_default();
                *sent = (*sent).min(n - 1);
                if awaited.is_some_and(|awaited| awaited.given_up) {
                    self.late.insert(line);
                }
            }
        }
    }

    fn look_again(&mut self, case: &Case, court: &mut Court) {
        let Case { entry, view, .. } = case;
        let final_failure =
            matches!(view.state, Some(State::Failed(failure)) if failure.retry == Retry::Never);
        let loads =
            entry.reply.outputs.iter().any(|output| matches!(output, Output::Run(Effect::Load { .. })));
        let demanded = matches!(entry.input, Some(Input::Acquire | Input::Reject(_)));
        if final_failure && loads && demanded && view.settled {
            let last = self.last_look.replace(view.now);
            let since =
                last.filter(|_| entry.input == Some(Input::Acquire)).map_or(u64::MAX, |last| view.now - last);
            court.must(since >= LOOK_AGAIN, "rule 9", || {
                format!("a final failure is looked past {since} ms after the last look")
            });
        }
    }

    /// Only a claim that is known to be written is followed by an exchange, with the refresh token that was claimed.
    fn exchange(&mut self, case: &Case, ticket: u64, refresh: Option<&str>, court: &mut Court) {
        let claim = match &case.entry.input {
            Some(Input::Event(event @ Event::Committed { result: Ok(_), .. })) => {
                case.view.awaited(event.ticket()).map(|awaited| &awaited.effect)
            }
            _ => None,
        };
        let Some(Effect::Commit { record, .. }) = claim else {
            court.must(false, "rule 1", || {
                "an exchange without a claim that is known to be written".to_owned()
            });
            return;
        };
        let mine = record.holder.is_some_and(|holder| Some(holder.claimant) == self.claimant);
        court.must(mine, "rule 1", || "an exchange after a commit that claims nothing".to_owned());
        let claimed = record.grant().and_then(|grant| grant.refresh_token.as_deref());
        court
            .must(claimed == refresh, "I-15", || format!("{claimed:?} is claimed, {refresh:?} is presented"));
        court.must(self.unsaved.is_none(), "rule 5", || {
            "an exchange, though a grant in hand is not saved".to_owned()
        });
        let line = (record.session, record.serial);
        self.sent.insert(line, record.presented);
        self.presented.insert(ticket, (line, record.presented));
    }
}

impl Unsaved {
    /// Whether it may be saved over this record: what it spent is still there (rule 5), or an elder sibling that
    /// nobody has used (rule 7).
    pub(super) fn belongs_over(&self, record: &Record) -> bool {
        let (session, serial) = self.spent;
        let unspent = record.serial == serial;
        let sibling = record.serial == serial + 1
            && (1..self.n).contains(&record.born)
            && record.holder.is_none()
            && record.presented == 0;
        record.session == session && record.body != Body::SignedOut && (unspent || sibling)
    }
}

/// A grant is saved before callers get it, or they hear that it could not be saved in time.
fn published(case: &Case, access: &str, court: &mut Court) {
    let Some(heard) = case.view.heard.get(access) else {
        let fresh = case.view.news(case.entry).is_some_and(|(_, _, by)| by == Source::Exchange);
        court.must(!fresh, "I-16", || format!("{access} is published, and not saved"));
        return;
    };
    let said = case.entry.reply.outputs.contains(&Output::Notify(Notice::SaveDelayed));
    let saved = heard.by != Source::Exchange || heard.saved || stored_now(case, access);
    court.must(saved || said || heard.delayed, "I-16", || format!("{access} is published, and not saved"));
    if !saved && said {
        let since = case.history.entries.get(heard.entry).map_or(0, |entry| entry.clock);
        court.must(case.view.now >= since + case.history.settings.save_limit, "PERS-02", || {
            format!("{access} was tried to be saved for {} ms only", case.view.now.saturating_sub(since))
        });
    }
}

/// Whether this very entry tells that the token is in the store.
fn stored_now(case: &Case, access: &str) -> bool {
    let is = |record: &Record| record.grant().is_some_and(|grant| grant.access_token == access);
    match &case.entry.input {
        Some(Input::Event(Event::Loaded { result: Some((_, Some(record))), .. })) => is(record),
        Some(Input::Event(event @ Event::Committed { result: Ok(_), .. })) => {
            match case.view.awaited(event.ticket()).map(|awaited| &awaited.effect) {
                Some(Effect::Commit { record, .. }) => is(record),
                _ => false,
            }
        }
        _ => false,
    }
}
