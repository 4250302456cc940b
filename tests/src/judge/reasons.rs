//! A failure has a reason, and a lost session is announced once (I-20, CORE-10, OBS-02, OBS-03, PERS-04, RETRY-07).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Case, Court};
use crate::subject::Policy;
use crate::vocabulary::{
    Answer, Body, CommitError, Effect, Event, ExchangeError, Failure, FailureKind, Input, Notice, Output,
    Record, State,
};

/// One observer per process.
#[derive(Default)]
pub(super) struct Reasons {
    processes: BTreeMap<u8, Process>,
}

#[derive(Default)]
struct Process {
    /// What would explain a failure of this kind.
    seen: BTreeSet<FailureKind>,
    starts: VecDeque<u64>,
    refusals: usize,
    signed_in: bool,
    /// Of each refresh token: how many presentations had no answer.
    ambiguous: BTreeMap<String, u32>,
    /// Those of which a presentation was given up, or that were presented again before its fate was known.
    doubtful: BTreeSet<String>,
    /// Those that were refused after that.
    refused: BTreeSet<String>,
    /// The exchanges that are out, by ticket.
    out: BTreeMap<u64, String>,
    /// The sessions whose loss was announced: after how many commands and endings elsewhere.
    lost: BTreeSet<(u64, u64)>,
}

impl Reasons {
    pub(super) fn check(&mut self, case: &Case, court: &mut Court) {
        let process = self.processes.entry(case.entry.process).or_default();
        process.input(case, court);
        process.announcement(case, court);
        let resolved = case.entry.reply.outputs.iter().filter_map(|output| match output {
            Output::Resolve { outcome: Err(failure), .. } => Some(*failure),
            _ => None,
        });
        let answered = match case.entry.reply.answer {
            Answer::Failed(failure) => Some(failure),
            _ => None,
        };
        let state = match case.entry.reply.state {
            State::Failed(failure) => Some(failure),
            State::Idle | State::Refreshing => None,
        };
        for failure in resolved.chain(answered).chain(state) {
            process.explain(case, failure, court);
        }
    }
}

impl Process {
    fn input(&mut self, case: &Case, court: &mut Court) {
        match &case.entry.input {
            None => *self = Self::default(),
            Some(Input::SignIn(grant)) => {
                self.signed_in = true;
                self.seen.insert(FailureKind::SessionEnded);
                // A pause outlives its reason, which was another credential's.
                if [FailureKind::Misconfigured, FailureKind::Uncertain]
                    .iter()
                    .any(|kind| self.seen.contains(kind))
                {
                    self.seen.insert(FailureKind::Transient);
                }
                self.refresh_token(grant.refresh_token.is_some());
            }
            Some(Input::SignOut) => {
                self.signed_in = false;
                self.seen.extend([FailureKind::SignedOut, FailureKind::SessionEnded]);
            }
            Some(Input::Reset) => {
                for forgiven in std::mem::take(&mut self.refused) {
                    self.ambiguous.remove(&forgiven);
                    self.doubtful.remove(&forgiven);
                    self.out.retain(|_, out| *out != forgiven);
                }
            }
            Some(Input::Reject(id)) => {
                self.refusals += 1;
                if case.view.latest.is_none_or(|latest| *id < latest) {
                    self.seen.insert(FailureKind::SessionEnded);
                }
            }
            Some(Input::Event(event)) if case.entry.reply.answer != Answer::Misuse => {
                self.event(case, event, court);
            }
            _ => {}
        }
        let silent = case
            .view
            .current_effect()
            .is_some_and(|awaited| case.view.now >= awaited.begun + case.history.settings.exchange_limit);
        if let Some(Effect::Exchange { refresh: Some(refresh), .. }) =
            case.view.current_effect().filter(|_| silent).map(|awaited| &awaited.effect)
        {
            self.doubtful.insert(refresh.clone());
        }
        if silent {
            let doubt = [FailureKind::Transient, FailureKind::StoreUnavailable, FailureKind::Uncertain];
            self.seen.extend(doubt);
        }
        for output in &case.entry.reply.outputs {
            if let Output::Run(Effect::Exchange { ticket, refresh, .. }) = output {
                self.starts.push_back(case.view.now);
                let refresh = refresh.clone().unwrap_or_default();
                if self.out.values().any(|out| *out == refresh) {
                    self.doubtful.insert(refresh.clone());
                }
                self.out.insert(*ticket, refresh);
            }
        }
        let window = case.history.settings.rate_window;
        while self.starts.front().is_some_and(|start| start + window <= case.view.now) {
            self.starts.pop_front();
        }
    }

    fn refresh_token(&mut self, there_is_one: bool) {
        if there_is_one {
            self.seen.remove(&FailureKind::NoRefreshToken);
        } else {
            self.seen.insert(FailureKind::NoRefreshToken);
        }
    }

    fn event(&mut self, case: &Case, event: &Event, court: &mut Court) {
        self.out.remove(&event.ticket());
        let awaited = case.view.awaited(event.ticket());
        let effect = awaited.map(|awaited| &awaited.effect);
        // That something is lost which was given up before says nothing new.
        let waited_for = awaited.is_some_and(|awaited| !awaited.given_up);
        match (event, effect) {
            (Event::Loaded { result: Some((version, record)), .. }, _) => {
                if case.view.is_stale(*version) {
                    self.seen.insert(FailureKind::StoreUnavailable);
                }
                self.read(record.as_ref());
            }
            (Event::Loaded { result: None, .. } | Event::Committed { result: Err(_), .. }, _) => {
                self.seen.insert(FailureKind::StoreUnavailable);
                if matches!(event, Event::Committed { result: Err(CommitError::Conflict), .. }) {
                    self.seen.insert(FailureKind::Transient);
                }
            }
            // A store so slow that it is too late to send.
            (Event::Committed { .. }, _)
                if awaited.is_some_and(|awaited| {
                    case.view.now > awaited.begun + case.history.settings.send_limit
                }) =>
            {
                self.seen.insert(FailureKind::StoreUnavailable);
            }
            (Event::Exchanged { result, .. }, Some(Effect::Exchange { refresh, .. })) => {
                let current = awaited.is_some_and(|awaited| awaited.identity == case.view.identity);
                match result {
                    Ok(grant) => {
                        self.seen.remove(&FailureKind::Uncertain);
                        self.ambiguous.remove(refresh.as_deref().unwrap_or_default());
                        if grant.refresh_token.is_some() && current {
                            self.refresh_token(true);
                        }
                    }
                    // A wish to be left alone is heard in any answer, whoever waits for it.
                    Err(ExchangeError::Ambiguous(wish)) if !waited_for => {
                        self.seen.extend(wish.map(|_| FailureKind::Transient));
                    }
                    Err(error) if current => {
                        let error = awaited.map_or(*error, |awaited| awaited.meaning(*error));
                        self.exchange_failed(case, error, refresh.as_deref(), court);
                    }
                    Err(ExchangeError::Transient(Some(_)) | ExchangeError::Ambiguous(Some(_))) => {
                        self.seen.insert(FailureKind::Transient);
                    }
                    Err(_) => {}
                }
            }
            (Event::Abandoned { .. }, Some(Effect::Exchange { refresh, .. })) if waited_for => {
                self.exchange_failed(case, ExchangeError::Ambiguous(None), refresh.as_deref(), court);
            }
            (Event::Abandoned { .. }, _) => self.seen.extend([FailureKind::StoreUnavailable]),
            _ => {}
        }
    }

    fn read(&mut self, record: Option<&Record>) {
        match record.map(|record| &record.body) {
            Some(Body::SignedOut) => self.seen.extend([FailureKind::SignedOut, FailureKind::SessionEnded]),
            Some(Body::Grant { grant, .. }) => {
                self.seen.insert(FailureKind::SessionEnded);
                if grant.refresh_token.is_none() {
                    self.refresh_token(false);
                }
            }
            Some(Body::Vacant) | None => {}
        }
        if record.is_some_and(|record| record.refused) {
            self.seen.extend([
                FailureKind::Refused,
                FailureKind::RefusedAfterAmbiguity,
                FailureKind::Interaction,
            ]);
        }
    }

    fn exchange_failed(
        &mut self,
        case: &Case,
        error: ExchangeError,
        refresh: Option<&str>,
        court: &mut Court,
    ) {
        match error {
            ExchangeError::NotSent | ExchangeError::Transient(_) => {
                self.seen.insert(FailureKind::Transient);
            }
            ExchangeError::Unexplained => {
                self.seen.extend([FailureKind::Transient, FailureKind::Misconfigured]);
            }
            ExchangeError::Ambiguous(_) => {
                self.seen.extend([FailureKind::Transient, FailureKind::Uncertain]);
                *self.ambiguous.entry(refresh.unwrap_or_default().to_owned()).or_default() += 1;
            }
            ExchangeError::Permanent => {
                let refresh = refresh.unwrap_or_default();
                self.refused.insert(refresh.to_owned());
                let silent = self.out.values().filter(|out| *out == refresh).count();
                let lost = self.ambiguous.get(refresh).copied().unwrap_or_default();
                let before = lost + u32::try_from(silent).unwrap_or(u32::MAX);
                let doubtful = before > 0 || self.doubtful.contains(refresh) || case.history.settings.shared;
                self.seen.insert(FailureKind::Refused);
                if doubtful {
                    self.seen.insert(FailureKind::RefusedAfterAmbiguity);
                }
                let told = if before > 0 { FailureKind::Refused } else { FailureKind::RefusedAfterAmbiguity };
                let wrong = matches!(case.entry.reply.state, State::Failed(failure) if failure.kind == told)
                    && (before > 0 || !self.doubtful.contains(refresh));
                let harmless = case.history.settings.policy == Policy::NonRotating;
                court.must(!wrong || harmless || case.history.settings.shared, "RETRY-07", || {
                    format!("refused after {before} attempts without answer, and called {told:?}")
                });
            }
            ExchangeError::Interaction => {
                self.seen.insert(FailureKind::Interaction);
            }
            // Something is asked once more.
            ExchangeError::InvalidScope => {}
            ExchangeError::Misconfigured | ExchangeError::InvalidRequest => {
                self.seen.insert(FailureKind::Misconfigured);
            }
        }
    }

    fn announcement(&mut self, case: &Case, court: &mut Court) {
        for output in &case.entry.reply.outputs {
            if *output == Output::Notify(Notice::SessionLost) {
                let session = (case.view.identity, case.view.endings);
                court.must(self.lost.insert(session), "OBS-03", || {
                    "the loss of one session is announced twice".to_owned()
                });
            }
        }
    }

    fn explain(&self, case: &Case, failure: Failure, court: &mut Court) {
        let settings = &case.history.settings;
        let explained = match failure.kind {
            FailureKind::NoCredentials => !self.signed_in,
            FailureKind::SignedOut
            | FailureKind::SessionEnded
            | FailureKind::NoRefreshToken
            | FailureKind::Refused
            | FailureKind::RefusedAfterAmbiguity
            | FailureKind::Interaction
            | FailureKind::Misconfigured
            | FailureKind::Transient
            | FailureKind::StoreUnavailable => self.seen.contains(&failure.kind),
            FailureKind::RateLimited => self.starts.len() >= settings.rate_starts,
            FailureKind::Uncertain => {
                settings.policy != Policy::NonRotating
                    && (self.seen.contains(&failure.kind) || !case.history.faults.is_empty())
            }
            FailureKind::RefusedAfterRefresh => self.refusals >= settings.breaker,
            FailureKind::QueueFull => true,
        };
        court.must(explained, "OBS-02", || format!("{:?}, for no reason that can be seen", failure.kind));
    }
}
