//! The scripts get to where the rules bite: a check of what never happens proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::history::{Entry, History};
use token_refresh_conformance::subject::Policy;
use token_refresh_conformance::vocabulary::{
    Answer, Body, Effect, Event, ExchangeError, FailureKind, Input, Notice, Output, State,
};

/// What has to be seen, by one process without store, one with, and several.
const MEMORY: &[&str] = &[
    "presented again inside the window",
    "presented again as the last resort",
    "presented again because it does no harm",
    "a stored failure served to a refusal",
    "an orphan revoked",
    "a late success used",
    "a late refusal answered with the newer token",
    "refused after ambiguity",
    "breaker open",
    "rate limited",
    "queue full",
    "misconfigured",
    "interaction",
    "uncertain",
    "no refresh token",
    "invalid request, asked once more",
    "asked without scope",
];
const STORED: &[&str] = &[
    "presented again inside the window",
    "presented again as the last resort",
    "an orphan revoked",
    "a late success used",
    "save delayed",
    "refusal marked",
    "sign-out written",
    "claim given back",
    "claim taken over",
    "saved after a contest",
    "uncertain",
];
const SEVERAL: &[&str] = &[
    "claim taken over",
    "grant superseded",
    "a later sibling saved",
    "saved after a contest",
    "used after a contest",
    "adopted from the store",
    "session ended elsewhere",
    "refusal marked",
    "refusal overtaken by a save",
    "save delayed",
    "uncertain",
];

#[test]
fn every_branch_that_a_rule_speaks_of_is_taken() {
    for (family, wanted) in [(Family::Memory, MEMORY), (Family::Stored, STORED), (Family::Several, SEVERAL)] {
        let mut seen: BTreeMap<&str, usize> = wanted.iter().map(|label| (*label, 0)).collect();
        for seed in 0..8_000 {
            let history = run::<CoreSubject>(&script(family, 40, seed));
            for label in labels(&history) {
                seen.entry(label).and_modify(|times| *times += 1);
            }
        }
        let never: Vec<_> = seen.iter().filter(|(_, times)| **times == 0).collect();
        assert!(never.is_empty(), "{family:?} never sees {never:?}, but {seen:?}");
    }
}

fn labels(history: &History) -> Vec<&'static str> {
    let mut labels = written(history);
    let mut before: BTreeMap<u8, &Entry> = BTreeMap::new();
    let mut exchanges: BTreeMap<(u8, u64), &str> = BTreeMap::new();
    let mut presented: BTreeMap<(u8, &str), usize> = BTreeMap::new();
    // The access tokens that a process got from exchanges of its own.
    let mut own: BTreeSet<(u8, &str)> = BTreeSet::new();
    for entry in &history.entries[..history.epilogue] {
        let p = entry.process;
        let last = before.insert(p, entry);
        let waits = last.is_some_and(|last| last.reply.state == State::Refreshing);
        match &entry.input {
            Some(Input::Reject(_)) => match entry.reply.answer {
                Answer::Ready(_) => labels.push("a late refusal answered with the newer token"),
                Answer::Failed(_) if entry.reply.outputs.is_empty() => {
                    labels.push("a stored failure served to a refusal");
                }
                _ => {}
            },
            Some(Input::Event(Event::Exchanged { ticket, result: Ok(grant), .. })) => {
                own.insert((p, grant.access_token.as_str()));
                let revoked = |output: &Output| matches!(output, Output::Run(Effect::Revoke { .. }));
                if entry.reply.outputs.iter().any(revoked) {
                    labels.push("an orphan revoked");
                } else if !waits
                    && entry.reply.answer == Answer::None
                    && exchanges.contains_key(&(p, *ticket))
                {
                    labels.push("a late success used");
                }
                if let Some(refresh) = exchanges.get(&(p, *ticket)) {
                    presented.remove(&(p, refresh));
                }
            }
            _ => {}
        }
        let disputed = matches!(
            entry.input,
            Some(Input::Event(Event::Exchanged { result: Err(ExchangeError::InvalidRequest), .. }))
        );
        for output in &entry.reply.outputs {
            if let Output::Run(Effect::Exchange { without_scope, .. }) = output {
                labels.extend(disputed.then_some("invalid request, asked once more"));
                labels.extend(without_scope.then_some("asked without scope"));
            }
            match output {
                Output::Run(Effect::Exchange { ticket, refresh: Some(refresh), .. }) => {
                    exchanges.insert((p, *ticket), refresh);
                    let times = presented.entry((p, refresh)).or_default();
                    *times += 1;
                    labels.extend(again(history.settings.policy).filter(|_| *times > 1));
                }
                Output::Publish(Some(token))
                    if !own.contains(&(p, token.access_token.as_str()))
                        && !matches!(entry.input, Some(Input::SignIn(_))) =>
                {
                    labels.push("adopted from the store");
                }
                Output::Notify(Notice::SaveDelayed) => labels.push("save delayed"),
                Output::Notify(Notice::TakenOver) => labels.push("claim taken over"),
                Output::Notify(Notice::Superseded) => labels.push("grant superseded"),
                Output::Resolve { outcome: Err(failure), .. } => {
                    labels.extend(failed(failure.kind, entry.input.as_ref()));
                }
                _ => {}
            }
        }
        if let Answer::Failed(failure) = entry.reply.answer {
            labels.extend(failed(failure.kind, entry.input.as_ref()));
        }
    }
    labels
}

/// Which branch of the rule for ambiguous refresh tokens a policy leaves open.
fn again(policy: Policy) -> Option<&'static str> {
    match policy {
        Policy::NonRotating => Some("presented again because it does no harm"),
        Policy::Once { last_resort: false, .. } => Some("presented again inside the window"),
        Policy::Never { last_resort: true } => Some("presented again as the last resort"),
        _ => None,
    }
}

fn failed(kind: FailureKind, input: Option<&Input>) -> Option<&'static str> {
    match kind {
        FailureKind::RefusedAfterAmbiguity => Some("refused after ambiguity"),
        FailureKind::RefusedAfterRefresh => Some("breaker open"),
        FailureKind::RateLimited => Some("rate limited"),
        FailureKind::QueueFull => Some("queue full"),
        FailureKind::Misconfigured => Some("misconfigured"),
        FailureKind::Interaction => Some("interaction"),
        FailureKind::Uncertain => Some("uncertain"),
        FailureKind::NoRefreshToken => Some("no refresh token"),
        FailureKind::SessionEnded if matches!(input, Some(Input::Event(Event::Loaded { .. }))) => {
            Some("session ended elsewhere")
        }
        _ => None,
    }
}

/// What can be read off the store.
fn written(history: &History) -> Vec<&'static str> {
    let mut labels = Vec::new();
    for pair in history.store.writes().windows(2) {
        let (old, new) = (&pair[0].record, &pair[1].record);
        if new.session != old.session {
            continue;
        }
        let saved = new.serial > old.serial;
        let label = match () {
            () if new.body == Body::SignedOut => "sign-out written",
            () if saved && old.refused => "refusal overtaken by a save",
            () if saved && old.presented == 0 && (1..new.born).contains(&old.born) => "a later sibling saved",
            () if saved && new.contested => "saved after a contest",
            () if new.refused && !old.refused => "refusal marked",
            () if new.holder.is_some() && old.contested => "used after a contest",
            () if old.holder.is_some() && new.holder.is_none() && !saved => "claim given back",
            () => continue,
        };
        labels.push(label);
    }
    labels
}
