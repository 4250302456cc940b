//! When an exchange may start, and what its end leads to (I-08, I-13, CORE-07, CORE-10, CORE-11, RETRY-05, RETRY-06).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::breaker::Breaker;
use super::orphans::{orphaned, revocation};
use super::presentations::{Presented, in_window};
use super::view::{Awaited, Known, View};
use super::{Case, Court};
use crate::subject::Settings;
use crate::vocabulary::{
    Answer, Effect, Event, ExchangeError, FailureKind, Grant, Input, Output, Retry, State, TokenId,
};

/// One observer per process.
#[derive(Default)]
pub(super) struct Exchanges {
    processes: BTreeMap<u8, Process>,
}

#[derive(Default)]
pub(super) struct Process {
    /// Without a store: the refresh token in force.
    pub(super) refresh: Option<String>,
    /// The one it was exchanged for, and by which ticket.
    parent: Option<(String, u64)>,
    starts: VecDeque<u64>,
    /// No start before this, by the server's wish or by the machine's own word.
    hold: u64,
    /// Whether delays were lifted since the last start: what is still told then is no word to be kept.
    lifted: bool,
    /// Refresh tokens that the server refused to this process, or for which it wants the user.
    pub(super) stopped: Vec<String>,
    pub(super) presented: BTreeMap<String, Presented>,
    /// What exchanges with a final outcome were for.
    finished: BTreeSet<Purpose>,
    /// The same for those that are out.
    purposes: BTreeMap<u64, Purpose>,
    breaker: Breaker,
    /// The highest rank among the refresh tokens of each family that this process took over.
    pub(super) ranks: BTreeMap<usize, usize>,
}

/// What an exchange is for: the token it is meant to replace, and the refresh token.
type Purpose = (Option<TokenId>, Option<String>);

impl Exchanges {
    pub(super) fn check(&mut self, case: &Case, court: &mut Court) {
        let process = self.processes.entry(case.entry.process).or_default();
        process.input(case, court);
        for output in &case.entry.reply.outputs {
            match output {
                Output::Run(Effect::Exchange { ticket, refresh, send_by, limit, .. }) => {
                    process.start(case, refresh.as_deref(), *send_by, *limit, court);
                    process.purposes.insert(*ticket, (case.view.latest, refresh.clone()));
                }
                Output::Run(Effect::Revoke { refresh }) => revocation(case, refresh, court),
                Output::Publish(Some(token)) if !matches!(case.entry.input, Some(Input::SignIn(_))) => {
                    process.breaker.installed(case, token.id);
                    // What was final for the generation before is so no longer.
                    process.stopped.clear();
                }
                _ => {}
            }
        }
        process.promise(case);
    }
}

impl Process {
    fn input(&mut self, case: &Case, court: &mut Court) {
        match &case.entry.input {
            None => *self = Self::default(),
            Some(Input::SignIn(grant)) => {
                self.refresh.clone_from(&grant.refresh_token);
                self.breaker.close();
            }
            Some(Input::SignOut) => {
                let newest = self.refresh.take().filter(|_| !case.history.settings.shared);
                let revoked = case.entry.reply.outputs.iter().find_map(|output| match output {
                    Output::Run(Effect::Revoke { refresh }) => Some(refresh.clone()),
                    _ => None,
                });
                court.must(newest.is_none() || newest == revoked, "SESS-05", || {
                    format!("{newest:?} is signed out, {revoked:?} revoked")
                });
            }
            Some(Input::Reset) => {
                self.hold = 0;
                self.lifted = true;
                for forgiven in self.stopped.drain(..) {
                    self.presented.remove(&forgiven);
                }
                self.finished.clear();
                self.breaker.close();
            }
            Some(Input::Accept(id)) if case.view.tokens.contains_key(id) => {
                self.breaker.close();
            }
            Some(Input::Reject(id)) => self.breaker.refused(case, *id),
            Some(Input::Event(event)) if case.entry.reply.answer != Answer::Misuse => {
                if let Some(awaited) = case.view.awaited(event.ticket()) {
                    self.ended(case, event, awaited, court);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, case: &Case, event: &Event, awaited: &Awaited, court: &mut Court) {
        let Effect::Exchange { refresh, .. } = &awaited.effect else {
            if let Some((grant, ..)) = case.view.news(case.entry) {
                self.adopts(case, grant);
            }
            return;
        };
        let result = match event {
            Event::Exchanged { result, .. } => result.clone().map_err(|error| awaited.meaning(error)),
            _ => Err(ExchangeError::Ambiguous(None)),
        };
        if awaited.identity != case.view.identity {
            orphaned(case, result.ok(), court);
            return;
        }
        let presented = refresh.as_ref().map(|refresh| self.presented.entry(refresh.clone()).or_default());
        if let (Some(presented), Event::Exchanged { sent_at, .. }) = (presented, event) {
            in_window(case, presented, *sent_at, result.as_ref().err(), court);
            // What was counted as ambiguous when it was begun has an outcome now.
            match &result {
                // Not before it was begun: a clock that says so was moved back in between.
                Err(ExchangeError::Ambiguous(_)) if presented.ambiguous == 1 => {
                    presented.first = presented.first.max(*sent_at);
                }
                Err(ExchangeError::Ambiguous(_) | ExchangeError::Permanent) => {}
                Err(_) | Ok(_) => presented.ambiguous = presented.ambiguous.saturating_sub(1),
            }
        }
        if let Ok(_) | Err(ExchangeError::Permanent | ExchangeError::Interaction) = result {
            self.finished.extend(self.purposes.remove(&event.ticket()));
        }
        match result {
            Ok(grant) => {
                self.hold = 0;
                let kept = grant.refresh_token.is_none() || grant.refresh_token == *refresh;
                if let (true, Some(refresh)) = (kept, refresh) {
                    self.presented.remove(refresh);
                    self.stopped.retain(|stopped| stopped != refresh);
                    self.finished.clear();
                }
                // Of two successors of one refresh token the one of the later presentation counts (rule 7).
                let sibling = self.parent.as_ref().is_some_and(|(parent, ticket)| {
                    Some(parent) == refresh.as_ref() && *ticket < awaited.ticket
                });
                if self.refresh == *refresh || sibling {
                    self.parent = refresh.clone().map(|refresh| (refresh, awaited.ticket));
                    self.refresh = grant.refresh_token.clone().or(refresh.clone());
                }
                if let Some(refresh) = &grant.refresh_token {
                    self.takes_over(case, refresh);
                }
            }
            Err(ExchangeError::Permanent | ExchangeError::Interaction) => {
                self.stopped.extend(refresh.clone());
            }
            Err(ExchangeError::Transient(Some(after)) | ExchangeError::Ambiguous(Some(after))) => {
                let settings = &case.history.settings;
                self.hold = self.hold.max(case.view.now + after.min(settings.max_retry_after));
            }
            Err(_) => {}
        }
    }

    /// Another process had success: what was final for the record before is no longer.
    fn adopts(&mut self, case: &Case, grant: &Grant) {
        if !case.view.heard.contains_key(&grant.access_token) {
            self.finished.clear();
            self.stopped.clear();
        }
        if let Some(refresh) = &grant.refresh_token {
            self.takes_over(case, refresh);
        }
    }

    fn takes_over(&mut self, case: &Case, refresh: &str) {
        if let Some(token) = case.history.authority.refresh_token(refresh) {
            let highest = self.ranks.entry(token.family).or_default();
            *highest = token.rank.max(*highest);
        }
    }

    fn start(&mut self, case: &Case, refresh: Option<&str>, send_by: u64, limit: u64, court: &mut Court) {
        let settings = &case.history.settings;
        let now = case.view.now;
        let decided_at = decided_at(case);
        self.lifted = false;
        self.rate(settings, now, court);
        court.must(decided_at >= self.hold, "I-13", || {
            format!("an exchange starts at {decided_at}, though none may before {}", self.hold)
        });
        self.breaker.start(case, decided_at, court);
        court.must(
            send_by <= decided_at + settings.send_limit && limit == settings.exchange_limit,
            "RETRY-06",
            || {
                format!(
                    "it may be sent {} ms after it was decided, and take {limit} ms",
                    send_by - decided_at
                )
            },
        );
        court.must(refresh.is_some() != settings.ambient, "CORE-10", || {
            format!("the refresh token is {refresh:?}")
        });
        let current = current(case);
        self.cause(case, current, refresh, court);
        if let Some(refresh) = refresh {
            self.present(case, refresh, current.is_none(), court);
        }
    }

    fn rate(&mut self, settings: &Settings, now: u64, court: &mut Court) {
        self.starts.push_back(now);
        while self.starts.front().is_some_and(|start| start + settings.rate_window <= now) {
            self.starts.pop_front();
        }
        court.must(self.starts.len() <= settings.rate_starts, "I-13", || {
            format!("{} exchanges within {} ms", self.starts.len(), settings.rate_window)
        });
    }

    /// No exchange without cause, and one for each generation.
    fn cause(&mut self, case: &Case, current: Option<&Known>, refresh: Option<&str>, court: &mut Court) {
        if let Some(known) = current {
            let due = known.token.soft_end.is_some_and(|end| case.view.now >= end);
            court.must(due, "I-08", || format!("{:?} is fresh, and yet an exchange starts", known.token.id));
        }
        let purpose = (case.view.latest, refresh.map(str::to_owned));
        court.must(!self.finished.contains(&purpose), "I-08", || {
            format!("a second exchange for {:?}", case.view.latest)
        });
    }

    /// A failure that names an instant is the machine's word that nothing starts before it.
    fn promise(&mut self, case: &Case) {
        if let (false, State::Failed(failure)) = (self.lifted, case.entry.reply.state)
            && let Retry::At(until) = failure.retry
            && let FailureKind::Transient | FailureKind::Misconfigured = failure.kind
        {
            self.hold = self.hold.max(until);
        }
    }
}

/// When the start of this exchange was decided: at this entry, or when its claim was issued.
fn decided_at(case: &Case) -> u64 {
    match &case.entry.input {
        Some(Input::Event(event @ Event::Committed { .. })) => {
            case.view.awaited(event.ticket()).map_or(case.view.now, |awaited| awaited.begun)
        }
        _ => case.view.now,
    }
}

/// The token that is still good when this entry's exchange starts.
fn current<'a>(case: &Case<'a>) -> Option<&'a Known> {
    let view: &View = case.view;
    view.usable().filter(|known| match &case.entry.input {
        Some(Input::Reject(id)) => *id != known.token.id,
        Some(Input::SignIn(_) | Input::SignOut) => false,
        _ => true,
    })
}
