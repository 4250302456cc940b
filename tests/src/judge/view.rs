//! What an observer of one machine knows at some point of a history.

use std::collections::BTreeMap;

use crate::history::{Entry, History};
use crate::vocabulary::{
    Answer, Body, Effect, Event, ExchangeError, Grant, Input, Notice, Output, Record, Snapshot, State,
    TokenId,
};

/// What an observer of one machine knows.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The latest instant that the machine was told.
    pub(super) now: u64,
    /// Counts starts, sign-ins and sign-outs of this process.
    pub(super) identity: u64,
    /// How often the identity was seen to have ended elsewhere.
    pub(super) endings: u64,
    /// Whether the last of them was a sign-out.
    pub(super) signed_out: bool,
    /// All tokens published so far.
    pub(super) tokens: BTreeMap<TokenId, Known>,
    /// The one published last, unless the identity ended.
    pub(super) latest: Option<TokenId>,
    /// What callers read without asking.
    pub(super) cell: Option<TokenId>,
    /// Who waits.
    pub(super) waiting: BTreeMap<u64, Waiting>,
    /// What is out.
    pub(super) awaited: Vec<Awaited>,
    /// The tickets that were answered.
    pub(super) answered: Vec<u64>,
    /// What the machine said it was doing.
    pub(super) state: Option<State>,
    /// Whether it said that nothing was owed.
    pub(super) settled: bool,
    /// From when the lifetimes of grants count, by access token, for all this process has heard of.
    pub(super) heard: BTreeMap<String, Heard>,
    /// The last record and version that this process read or wrote.
    pub(super) record: Option<(u64, Option<Record>)>,
}

/// A token that was published.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) token: Snapshot,
    /// Its family at the server.
    pub(super) family: Option<usize>,
    pub(super) identity: u64,
    pub(super) refused: bool,
}

/// A grant that this process heard of.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) grant: Grant,
    pub(super) obtained_at: u64,
    pub(super) by: Source,
    /// At which entry.
    pub(super) entry: usize,
    /// Whether it is in the store, as far as this process was told.
    pub(super) saved: bool,
    /// Whether observers were told that it could not be saved in time.
    pub(super) delayed: bool,
}

/// How a process heard of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    SignIn,
    Exchange,
    Store,
}

/// A caller who waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) identity: u64,
    /// The family of the token that was current when it came.
    pub(super) family: Option<usize>,
    /// The token that was refused to it.
    pub(super) refused: Option<TokenId>,
}

/// An effect that is out.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    pub(super) ticket: u64,
    pub(super) effect: Effect,
    /// The clock when it was begun.
    pub(super) begun: u64,
    pub(super) identity: u64,
    /// Until when it is waited for all the same, because nobody looked when its time was over: the process stood still,
    /// and the answer may be there to be read.
    pub(super) spared_until: Option<u64>,
    /// Whether the machine waits for it no longer.
    pub(super) given_up: bool,
}

/// What the watchdog grants beyond the limit of an effect.
pub(super) const SLACK: u64 = 1000;

impl Awaited {
    /// When its time is over.
    pub(super) fn due(&self, limit: u64) -> u64 {
        let latest_start = match &self.effect {
            Effect::Load { not_before, .. } => self.begun.max(*not_before),
            Effect::Exchange { send_by, .. } => *send_by,
            Effect::Commit { .. } | Effect::Revoke { .. } => self.begun,
        };
        latest_start.saturating_add(limit).saturating_add(SLACK)
    }

    /// What an error says in answer to this effect: without a scope in the request it is the grant that has shrunk.
    pub(super) fn meaning(&self, error: ExchangeError) -> ExchangeError {
        match (&self.effect, error) {
            (Effect::Exchange { without_scope: true, .. }, ExchangeError::InvalidScope) => {
                ExchangeError::Interaction
            }
            _ => error,
        }
    }
}

impl View {
    /// The machine is told the time.
    pub(super) fn begin(&mut self, entry: &Entry) {
        match entry.input {
            None => {
                *self =
                    Self { identity: self.identity + 1, now: entry.clock, settled: true, ..Self::default() }
            }
            // The one call without a clock; and misuse changes nothing, not even that.
            Some(Input::Cancel(_)) => {}
            Some(_) if entry.reply.answer == Answer::Misuse => {}
            Some(_) => self.now = self.now.max(entry.clock),
        }
    }

    /// The token published last, with what is known of it.
    pub(super) fn latest(&self) -> Option<&Known> {
        self.latest.and_then(|id| self.tokens.get(&id))
    }

    /// The latest token, if it may be used now: not refused, not past its end.
    pub(super) fn usable(&self) -> Option<&Known> {
        self.latest().filter(|known| !known.refused && known.token.hard_end.is_none_or(|end| self.now < end))
    }

    /// The effect of the current identity that the machine waits for.
    pub(super) fn current_effect(&self) -> Option<&Awaited> {
        self.awaited.iter().rev().find(|awaited| awaited.identity == self.identity && !awaited.given_up)
    }

    pub(super) fn awaited(&self, ticket: u64) -> Option<&Awaited> {
        self.awaited.iter().find(|awaited| awaited.ticket == ticket)
    }

    /// The grant that this very entry brings, and from when its lifetime counts.
    pub(super) fn news<'a>(&self, entry: &'a Entry) -> Option<(&'a Grant, u64, Source)> {
        if entry.reply.answer == Answer::Misuse {
            return None;
        }
        match entry.input.as_ref()? {
            Input::SignIn(grant) => Some((grant, self.now, Source::SignIn)),
            // Whatever the clock did: not sent before it was begun, nor after its end was told.
            Input::Event(Event::Exchanged { ticket, sent_at, result: Ok(grant) }) => {
                let begun = self.awaited(*ticket).map_or(0, |awaited| awaited.begun);
                Some((grant, (*sent_at).max(begun).min(self.now), Source::Exchange))
            }
            Input::Event(Event::Loaded { result: Some((_, Some(record))), .. }) => match &record.body {
                Body::Grant { grant, obtained_at } => Some((grant, *obtained_at, Source::Store)),
                Body::Vacant | Body::SignedOut => None,
            },
            _ => None,
        }
    }

    /// Takes in one entry.
    pub(super) fn end(&mut self, index: usize, entry: &Entry, history: &History) {
        let Some(input) = &entry.input else { return };
        let news = self.news(entry).map(|(grant, obtained_at, by)| (grant.clone(), obtained_at, by));
        match input {
            Input::Reject(id) => {
                if let Some(known) = self.tokens.get_mut(id) {
                    known.refused = true;
                }
            }
            Input::Cancel(waiter) => {
                self.waiting.remove(waiter);
            }
            Input::SignIn(_) => self.end_identity(false),
            Input::SignOut => self.end_identity(true),
            Input::Event(event) if entry.reply.answer != Answer::Misuse => self.hear_of(event),
            Input::Acquire | Input::Accept(_) | Input::Reset | Input::Event(_) | Input::Timeout => {}
        }
        if let Some((grant, obtained_at, by)) = news {
            let known = self.heard.entry(grant.access_token.clone());
            let saved = by == Source::Store;
            let heard = Heard { grant, obtained_at, by, entry: index, saved, delayed: false };
            known.and_modify(|known| known.saved |= by == Source::Store).or_insert(heard);
        }
        if let Answer::Wait(waiter) = entry.reply.answer {
            let refused = match input {
                Input::Reject(id) => self.tokens.contains_key(id).then_some(*id),
                _ => None,
            };
            let family = self.latest().and_then(|known| known.family);
            self.waiting.insert(waiter, Waiting { identity: self.identity, family, refused });
        }
        for output in &entry.reply.outputs {
            self.take(output, input, history);
        }
        let refreshing = entry.reply.state == State::Refreshing;
        let newest = self.awaited.iter().rev().find(|awaited| awaited.identity == self.identity);
        let newest = newest.map(|awaited| awaited.ticket).filter(|_| refreshing);
        let (now, limit) = (self.now, history.settings.exchange_limit);
        for awaited in &mut self.awaited {
            awaited.given_up |= Some(awaited.ticket) != newest;
            if !awaited.given_up && now >= awaited.due(limit) + SLACK {
                awaited.spared_until.get_or_insert(now + SLACK);
            }
        }
        self.state = Some(entry.reply.state);
        self.settled = entry.reply.settled;
    }

    fn end_identity(&mut self, signed_out: bool) {
        self.identity += 1;
        self.signed_out = signed_out;
        self.latest = None;
    }

    pub(super) fn is_stale(&self, version: u64) -> bool {
        self.record.as_ref().is_some_and(|(known, _)| version < *known)
    }

    fn hear_of(&mut self, event: &Event) {
        let ended = self.awaited(event.ticket()).cloned();
        self.awaited.retain(|awaited| awaited.ticket != event.ticket());
        self.answered.push(event.ticket());
        match (event, ended.map(|ended| ended.effect)) {
            // A load may be stale; then it says nothing.
            (Event::Loaded { result: Some((version, record)), .. }, _) if !self.is_stale(*version) => {
                self.record = Some((*version, record.clone()));
            }
            (Event::Committed { result: Ok(version), .. }, Some(Effect::Commit { record, .. })) => {
                if let Some(heard) = record.grant().and_then(|grant| self.heard.get_mut(&grant.access_token))
                {
                    heard.saved = true;
                }
                self.record = Some((*version, Some(record)));
            }
            _ => {}
        }
    }

    fn take(&mut self, output: &Output, input: &Input, history: &History) {
        match output {
            Output::Publish(None) => {
                self.cell = None;
                let withdraws = matches!(input, Input::Reject(_) | Input::SignIn(_) | Input::SignOut);
                self.endings += u64::from(!withdraws);
                // Withdrawn although nobody refused it just now: the identity has ended elsewhere.
                self.latest = self.latest.filter(|id| *input == Input::Reject(*id));
            }
            Output::Publish(Some(token)) => {
                self.cell = Some(token.id);
                self.latest = Some(token.id);
                self.signed_out = false;
                let family = history.family(&token.access_token);
                let known = Known { token: token.clone(), family, identity: self.identity, refused: false };
                self.tokens.insert(token.id, known);
            }
            Output::Resolve { waiter, .. } => {
                self.waiting.remove(waiter);
            }
            Output::Notify(Notice::SaveDelayed) => {
                let newest = self.heard.values_mut().filter(|heard| heard.by == Source::Exchange);
                if let Some(heard) = newest.max_by_key(|heard| heard.entry) {
                    heard.delayed = true;
                }
            }
            Output::Run(effect) => {
                if let Some(ticket) = effect.ticket() {
                    self.awaited.push(Awaited {
                        ticket,
                        effect: effect.clone(),
                        begun: self.now,
                        identity: self.identity,
                        spared_until: None,
                        given_up: false,
                    });
                }
            }
            Output::Notify(_) => {}
        }
    }
}
