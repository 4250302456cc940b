//! The form of replies: order of a batch, effects and states, tickets, totality (I-01, I-19, I-25, CORE-14, CORE-17).

use super::view::SLACK;
use super::{Case, Court};
use crate::vocabulary::{Answer, Event, FailureKind, Input, Output, Retry, State};

pub(super) fn check(case: &Case, court: &mut Court) {
    batch(case, court);
    effects(case, court);
    match &case.entry.input {
        Some(Input::Event(event)) => ticket(case, event, court),
        Some(Input::Cancel(waiter)) => cancellation(case, *waiter, court),
        _ => {}
    }
    failures(case, court);
}

fn batch(case: &Case, court: &mut Court) {
    let outputs = &case.entry.reply.outputs;
    let first_run = outputs.iter().position(|output| matches!(output, Output::Run(_)));
    let told_after = outputs.iter().skip(first_run.unwrap_or(outputs.len()));
    court.must(told_after.clone().all(|output| matches!(output, Output::Run(_))), "order of a batch", || {
        "an effect is not the last of its batch".to_owned()
    });
    let begun =
        told_after.filter(|output| matches!(output, Output::Run(effect) if effect.ticket().is_some()));
    court.must(begun.count() <= 1, "I-01", || "two effects are begun in one batch".to_owned());
}

/// At most one effect of the current identity is out, `Refreshing` says exactly that, and none is waited for longer
/// than it may take.
fn effects(case: &Case, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let reply = &entry.reply;
    let replaces = matches!(entry.input, Some(Input::SignIn(_) | Input::SignOut));
    let ended = match &entry.input {
        Some(Input::Event(event)) if reply.answer != Answer::Misuse => Some(event.ticket()),
        _ => None,
    };
    let before = view.current_effect().filter(|awaited| Some(awaited.ticket) != ended && !replaces);
    let begun =
        reply.outputs.iter().any(|output| matches!(output, Output::Run(effect) if effect.ticket().is_some()));
    let refreshing = reply.state == State::Refreshing;
    court.must(!refreshing || begun || before.is_some(), "CORE-03", || {
        "it says Refreshing, but nothing is out".to_owned()
    });
    court
        .must(refreshing || !begun, "CORE-03", || format!("an effect is out, but it says {:?}", reply.state));
    let Some(before) = before else { return };
    let due = before.due(case.history.settings.exchange_limit);
    let given_up = begun || !refreshing;
    court.must(!given_up || view.now >= due, "I-01", || {
        format!("ticket {} is out and may still be answered, yet something else goes on", before.ticket)
    });
    let told_the_time = !matches!(entry.input, Some(Input::Cancel(_))) && reply.answer != Answer::Misuse;
    let over = match before.spared_until {
        Some(until) => view.now >= until,
        None => (due..due + SLACK).contains(&view.now),
    };
    court.must(given_up || !over || !told_the_time, "I-19", || {
        format!("ticket {} is not given up {} ms after its time", before.ticket, view.now - due)
    });
}

/// An answer that nobody waits for changes nothing; one that is waited for is taken.
fn ticket(case: &Case, event: &Event, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let misuse = entry.reply.answer == Answer::Misuse;
    let ticket = event.ticket();
    if view.current_effect().is_some_and(|awaited| awaited.ticket == ticket) {
        court.must(!misuse, "I-25", || format!("the answer to ticket {ticket} is not taken"));
    }
    if view.answered.contains(&ticket) {
        court.must(misuse, "I-25", || format!("ticket {ticket} is answered twice"));
    }
    if misuse {
        let same = view.state.is_none_or(|state| state == entry.reply.state);
        court.must(entry.reply.outputs.is_empty() && same, "I-25", || "misuse changed something".to_owned());
    }
}

fn cancellation(case: &Case, waiter: u64, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let waits = view.waiting.contains_key(&waiter);
    court.must(entry.reply.answer == Answer::Cancelled(waits), "CORE-14", || {
        format!("cancelling waiter {waiter}, who waits: {waits}, answers {:?}", entry.reply.answer)
    });
    let same = view.state.is_none_or(|state| state == entry.reply.state);
    court.must(entry.reply.outputs.is_empty() && same, "CORE-14", || {
        "a cancellation did more than take one waiter out".to_owned()
    });
}

/// A failure names an instant that is still to come, unless nothing will happen by itself.
fn failures(case: &Case, court: &mut Court) {
    let resolved = case.entry.reply.outputs.iter().filter_map(|output| match output {
        Output::Resolve { outcome: Err(failure), .. } => Some(*failure),
        _ => None,
    });
    let answered = match case.entry.reply.answer {
        Answer::Failed(failure) => Some(failure),
        _ => None,
    };
    let told = resolved.map(|failure| (failure, true)).chain(answered.map(|failure| (failure, false)));
    for (failure, waited) in told {
        let passing = matches!(
            failure.kind,
            FailureKind::Transient
                | FailureKind::StoreUnavailable
                | FailureKind::RateLimited
                | FailureKind::Misconfigured
                | FailureKind::RefusedAfterRefresh
                | FailureKind::QueueFull
        );
        match failure.retry {
            Retry::At(instant) => {
                court.must(passing || failure.kind == FailureKind::Uncertain, "CORE-07", || {
                    format!("{:?} passes by itself", failure.kind)
                });
                // Who waited may hear of an instant that passed meanwhile; who asks may not.
                let waited = waited || failure.kind == FailureKind::QueueFull;
                court.must(instant > case.view.now || waited, "I-20", || {
                    format!("{:?} until {instant}, and it is {} now", failure.kind, case.view.now)
                });
                let far = case.view.now + case.history.settings.max_retry_after;
                court.must(instant <= far, "RETRY-05", || format!("{:?} until {instant}", failure.kind));
            }
            Retry::Never => {
                court.must(!passing, "CORE-09", || format!("{:?} never passes", failure.kind));
            }
        }
    }
}
