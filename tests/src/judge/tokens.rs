//! What is published: names, ends, families (I-09, I-10, CORE-16, TIME-01, TIME-02, TIME-06).

use super::{Case, Court};
use crate::vocabulary::{Answer, Event, Input, Output, Record, Snapshot};

pub(super) fn check(case: &Case, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let mut cell = view.cell;
    for output in &entry.reply.outputs {
        let Output::Publish(token) = output else { continue };
        cell = token.as_ref().map(|token| token.id);
        withdrawn(case, token.is_none(), court);
        if let Some(token) = token {
            name(case, token, court);
            ends(case, token, court);
            family(case, token, court);
        }
    }
    let refused = |id| match entry.input {
        Some(Input::Reject(refused)) if refused == id => true,
        _ => view.tokens.get(&id).is_some_and(|known| known.refused),
    };
    court.must(cell.is_none_or(|id| !refused(id)), "I-06", || {
        "callers can still read a token that was refused".to_owned()
    });
    if matches!(entry.input, Some(Input::SignOut)) {
        court
            .must(cell.is_none(), "SESS-01", || "callers can still read a token after a sign-out".to_owned());
    }
    if let Some(Input::SignIn(grant)) = &entry.input {
        let published = entry.reply.outputs.iter().any(
            |output| matches!(output, Output::Publish(Some(token)) if token.access_token == grant.access_token),
        );
        court.must(published, "I-21", || "a sign-in does not publish its token".to_owned());
    }
    if let Answer::Ready(token) = &entry.reply.answer {
        court.must(Some(token.id) == cell, "I-06", || {
            "a demand is answered with another token than the one that is published".to_owned()
        });
    }
}

/// A token that is still good is not taken back because a refresh failed (CORE-08).
fn withdrawn(case: &Case, withdrawn: bool, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let Some(known) = view.usable().filter(|_| withdrawn) else { return };
    let called_for = match &entry.input {
        Some(Input::Reject(id)) => *id == known.token.id,
        Some(Input::SignIn(_) | Input::SignOut) => true,
        Some(Input::Event(Event::Loaded { result: Some((_, record)), .. })) => {
            let grant = record.as_ref().and_then(Record::grant);
            let newer = grant.is_some_and(|grant| !view.heard.contains_key(&grant.access_token));
            newer
                || known.family.is_none()
                || grant.and_then(|grant| case.history.family(&grant.access_token)) != known.family
        }
        _ => false,
    };
    court.must(called_for, "CORE-08", || format!("{:?} is still good, and is withdrawn", known.token.id));
}

fn name(case: &Case, token: &Snapshot, court: &mut Court) {
    let newest = case.view.tokens.keys().next_back();
    court.must(newest.is_none_or(|newest| token.id > *newest), "I-09", || {
        format!("{:?} is published after {newest:?}", token.id)
    });
    if let (Some(newest), Some(Input::SignIn(grant))) = (newest, &case.entry.input)
        && grant.access_token == token.access_token
    {
        court.must(token.id.epoch > newest.epoch, "I-10", || "a sign-in begins no epoch".to_owned());
    }
}

fn ends(case: &Case, token: &Snapshot, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let news = view.news(entry).map(|(grant, obtained_at, _)| (grant, obtained_at));
    let known = view.heard.get(&token.access_token).map(|heard| (&heard.grant, heard.obtained_at));
    let mut sources = news.into_iter().chain(known);
    let source = sources.find(|(grant, _)| grant.access_token == token.access_token);
    let Some((grant, obtained_at)) = source else {
        court.must(false, "I-11", || format!("nobody gave it the token {}", token.access_token));
        return;
    };
    // A record from a clock that is ahead: its end is unknown, or not later than it says (TIME-08).
    let ahead = obtained_at > view.now;
    let unknown = token.soft_end.is_none() && token.hard_end.is_none();
    if ahead && unknown {
        return;
    }
    let Some(lifetime) = grant.lifetime else {
        court.must(unknown, "XRSP-05", || "a token of unknown lifetime has an end".to_owned());
        return;
    };
    let settings = &case.history.settings;
    let end = obtained_at.saturating_add(lifetime);
    let hard = end - settings.hard_margin.of(lifetime);
    let soft = end - settings.soft_margin.of(lifetime);
    let soonest = soft - settings.jitter.of(lifetime);
    court.must(
        token.hard_end == Some(hard) || (ahead && token.hard_end.is_some_and(|end| end <= hard)),
        "TIME-01",
        || format!("the hard end is {:?}, not {hard}", token.hard_end),
    );
    let in_range = |end: u64| (soonest..=soft).contains(&end) || (ahead && end <= soft);
    court.must(token.soft_end.is_some_and(in_range), "TIME-02", || {
        format!("the soft end is {:?}, not in {soonest}..={soft}", token.soft_end)
    });
}

/// One epoch, one family; and a token of the family before does not come back.
fn family(case: &Case, token: &Snapshot, court: &mut Court) {
    let family = case.history.family(&token.access_token);
    for (id, known) in &case.view.tokens {
        court.must((id.epoch == token.id.epoch) <= (known.family == family), "I-10", || {
            format!("{id:?} and {:?} belong to two identities", token.id)
        });
    }
}
