//! The chart of a history of state machines.

use super::chart::{Chart, Fate, Lane, Manner, Role};
use crate::history::{Entry, History};
use crate::judge::Violation;
use crate::text::{Name, Span};
use crate::vocabulary::{
    Answer, Body, CommitError, Effect, Event, ExchangeError, Failure, Grant, Input, Notice, Output, Record,
    Retry, Snapshot, TokenId,
};

impl Chart {
    /// What happened up to the violation, or all of it if none is given.
    pub fn of(history: &History, violation: Option<&Violation>) -> Self {
        let mut scene = Scene::new(history);
        let begin = history.entries.first().map_or(0, |entry| entry.at);
        let shown = violation.map_or(usize::MAX, |violation| violation.at.saturating_add(1));
        for (index, entry) in history.entries.iter().enumerate().take(shown) {
            let at = entry.at - begin;
            if index == history.calm && index < history.epilogue {
                scene.chart.divider("the script is over; all that is out is answered", at);
            }
            if index == history.epilogue {
                scene.chart.divider("two hours later everybody asks again", at);
            }
            scene.entry(entry, at);
        }
        scene.chart.fold();
        if let Some(violation) = violation {
            let entry = history.entries.get(violation.at);
            let lane = entry
                .and_then(|entry| scene.clients.get(usize::from(entry.process)).map(|client| client.lane));
            let at = entry.or(history.entries.last()).map_or(0, |entry| entry.at - begin);
            scene.chart.violation(lane, format!("{}: {}", violation.rule, violation.says), at);
        }
        scene.chart
    }
}

struct Scene {
    chart: Chart,
    callers: Lane,
    clients: Vec<Client>,
    store: Lane,
    server: Lane,
    api: Lane,
}

/// One machine, as far as the chart has come.
struct Client {
    lane: Lane,
    started: bool,
    /// Whether callers can read a token.
    published: bool,
}

impl Scene {
    fn new(history: &History) -> Self {
        let mut chart = Chart::default();
        let processes = history.world.processes.clamp(1, 3);
        let callers = chart.participant(Role::Callers, "callers");
        let name = |p| if processes == 1 { "client".to_owned() } else { format!("client {}", Name(p)) };
        let client =
            |p| Client { lane: chart.participant(Role::Client, name(p)), started: false, published: false };
        let clients = (0..processes).map(client).collect();
        let store = if history.world.shared {
            chart.participant(Role::Store, "store")
        } else {
            // Never used: a machine without store neither loads nor commits.
            callers
        };
        let server = chart.participant(Role::AuthorizationServer, "authorization server");
        let api = chart.participant(Role::Api, "API");
        Self { chart, callers, clients, store, server, api }
    }

    fn entry(&mut self, entry: &Entry, at: u64) {
        let Some(client) = self.clients.get_mut(usize::from(entry.process)) else { return };
        let lane = client.lane;
        match &entry.input {
            None if std::mem::replace(&mut client.started, true) => {
                client.published = false;
                self.chart.note(lane, "dies, and starts again without memory", at);
            }
            None => {}
            Some(input) => self.input(lane, input, at),
        }
        self.reply(lane, &entry.reply.answer, at);
        for output in &entry.reply.outputs {
            if let Output::Publish(snapshot) = output {
                self.publish(usize::from(entry.process), snapshot.as_ref(), at);
            } else {
                self.output(lane, output, at);
            }
        }
    }

    /// That nothing is withdrawn is not worth a line.
    fn publish(&mut self, process: usize, snapshot: Option<&Snapshot>, at: u64) {
        let Some(client) = self.clients.get_mut(process) else { return };
        let before = std::mem::replace(&mut client.published, snapshot.is_some());
        match snapshot {
            Some(snapshot) => self.chart.note(client.lane, format!("publishes {}", token(snapshot)), at),
            None if before => self.chart.note(client.lane, "withdraws the token", at),
            None => {}
        }
    }

    fn input(&mut self, client: Lane, input: &Input, at: u64) {
        match input {
            Input::Acquire => self.chart.call(self.callers, client, "a token?", at),
            Input::Reject(id) => {
                self.chart.refusal(self.api, client, format!("401 for token {}", number(*id)), at);
            }
            Input::Accept(id) => {
                self.chart.answer(self.api, client, format!("200 for token {}", number(*id)), at);
            }
            Input::Cancel(waiter) => {
                self.chart.call(self.callers, client, format!("caller {waiter} goes"), at);
            }
            Input::SignIn(grant) => {
                self.chart.call(self.callers, client, format!("signs in: {}", tokens(grant)), at);
            }
            Input::SignOut => self.chart.call(self.callers, client, "signs out", at),
            Input::Reset => self.chart.call(self.callers, client, "try again", at),
            Input::Timeout => self.chart.note(client, "its timer is served", at),
            Input::Event(event) => self.event(client, event, at),
        }
    }

    fn event(&mut self, client: Lane, event: &Event, at: u64) {
        match event {
            Event::Loaded { result: Some((version, record)), .. } => {
                let record = record.as_ref().map_or_else(|| "empty".to_owned(), content);
                self.chart.answer(self.store, client, format!("version {version}: {record}"), at);
            }
            Event::Loaded { result: None, .. }
            | Event::Committed { result: Err(CommitError::Unavailable), .. } => {
                self.lost(self.store, client, "no answer", at);
            }
            Event::Committed { result: Ok(version), .. } => {
                self.chart.answer(self.store, client, format!("written as version {version}"), at);
            }
            Event::Committed { result: Err(CommitError::Conflict), .. } => {
                self.chart.refusal(self.store, client, "conflict: another version is there", at);
            }
            Event::Exchanged { result: Ok(grant), .. } => {
                self.chart.answer(self.server, client, format!("200: {}", tokens(grant)), at);
            }
            Event::Exchanged { result: Err(ExchangeError::NotSent), .. } => {
                self.chart.note(client, "nothing was sent", at);
            }
            Event::Exchanged { result: Err(ExchangeError::Ambiguous(None)), .. } => {
                self.lost(self.server, client, "no answer", at);
            }
            Event::Exchanged { result: Err(error), .. } => {
                self.chart.refusal(self.server, client, refused(*error), at);
            }
            Event::Abandoned { .. } => self.chart.note(client, "whoever ran this dies", at),
        }
    }

    fn reply(&mut self, client: Lane, answer: &Answer, at: u64) {
        match answer {
            Answer::None | Answer::Cancelled(true) => {}
            Answer::Cancelled(false) => {
                self.chart.answer(client, self.callers, "the outcome is out already", at);
            }
            Answer::Ready(snapshot) => self.chart.answer(client, self.callers, token(snapshot), at),
            Answer::Wait(waiter) => {
                self.chart.answer(client, self.callers, format!("caller {waiter} waits"), at);
            }
            Answer::Failed(failure) => self.chart.refusal(client, self.callers, failed(*failure), at),
            Answer::Misuse => self.chart.note(client, "that makes no sense", at),
        }
    }

    fn output(&mut self, client: Lane, output: &Output, at: u64) {
        match output {
            Output::Publish(_) => {}
            Output::Resolve { waiter, outcome: Ok(snapshot) } => {
                self.chart.answer(client, self.callers, format!("caller {waiter}: {}", token(snapshot)), at);
            }
            Output::Resolve { waiter, outcome: Err(failure) } => {
                self.chart.refusal(
                    client,
                    self.callers,
                    format!("caller {waiter}: {}", failed(*failure)),
                    at,
                );
            }
            Output::Notify(notice) => {
                if let Some(text) = noticed(*notice) {
                    self.chart.note(client, text, at);
                }
            }
            Output::Run(Effect::Load { .. }) => self.chart.call(client, self.store, "load", at),
            Output::Run(Effect::Commit { expected, record, .. }) => {
                let text = format!("replace version {expected}: {}", content(record));
                self.chart.call(client, self.store, text, at);
            }
            Output::Run(Effect::Exchange { refresh, without_scope, .. }) => {
                let with = refresh.as_ref().map_or_else(String::new, |refresh| format!(" with {refresh}"));
                let scope = if *without_scope { ", without scope" } else { "" };
                let text = format!("refresh{with}{scope}");
                self.chart.call(client, self.server, text, at);
            }
            Output::Run(Effect::Revoke { refresh }) => {
                self.chart.call(client, self.server, format!("revoke {refresh}"), at);
            }
        }
    }

    fn lost(&mut self, from: Lane, to: Lane, text: &str, at: u64) {
        self.chart.message(from, to, text, Manner::Answer, Fate::Lost, at);
    }
}

fn number(id: TokenId) -> String {
    format!("{}.{}", id.epoch, id.generation)
}

fn token(snapshot: &Snapshot) -> String {
    format!("token {} ({})", number(snapshot.id), snapshot.access_token)
}

fn tokens(grant: &Grant) -> String {
    let refresh = grant.refresh_token.as_ref().map_or_else(String::new, |refresh| format!(", {refresh}"));
    let lifetime = grant.lifetime.map_or_else(String::new, |lifetime| format!(" for {}", Span(lifetime)));
    format!("{}{refresh}{lifetime}", grant.access_token)
}

fn content(record: &Record) -> String {
    let mut text = match &record.body {
        Body::Grant { grant, .. } => tokens(grant),
        Body::Vacant => "vacant".to_owned(),
        Body::SignedOut => "signed out".to_owned(),
    };
    if record.refused {
        text += ", refused";
    }
    if record.holder.is_some() {
        text + &format!(", claim {}", record.presented)
    } else if record.presented > 0 {
        text + &format!(", presented {}", record.presented)
    } else {
        text
    }
}

fn refused(error: ExchangeError) -> String {
    match error {
        ExchangeError::NotSent => "nothing was sent".to_owned(),
        ExchangeError::Ambiguous(None) => "no answer".to_owned(),
        ExchangeError::Ambiguous(Some(after)) => format!("500, retry after {}", Span(after)),
        ExchangeError::Transient(None) => "503".to_owned(),
        ExchangeError::Transient(Some(after)) => format!("503, retry after {}", Span(after)),
        ExchangeError::Unexplained => "an error that explains nothing".to_owned(),
        ExchangeError::Permanent => "400 invalid_grant".to_owned(),
        ExchangeError::Interaction => "400 interaction_required".to_owned(),
        ExchangeError::Misconfigured => "401 invalid_client".to_owned(),
        ExchangeError::InvalidRequest => "400 invalid_request".to_owned(),
        ExchangeError::InvalidScope => "400 invalid_scope".to_owned(),
    }
}

fn failed(failure: Failure) -> String {
    match failure.retry {
        Retry::Never => format!("fails: {:?}", failure.kind),
        Retry::At(_) => format!("fails for now: {:?}", failure.kind),
    }
}

fn noticed(notice: Notice) -> Option<&'static str> {
    match notice {
        Notice::SaveDelayed => Some("uses a grant that is not saved yet"),
        Notice::SessionLost => Some("says: the user has to sign in"),
        Notice::Superseded => Some("drops a grant for a newer one"),
        Notice::TakenOver => Some("takes over the claim of a silent process"),
        Notice::Other => None,
    }
}
