//! What callers are told (I-04 to I-07, I-10, I-21, I-22, CORE-02, CORE-04, CORE-08, CORE-16, SESS-01, SESS-03).

use std::collections::BTreeSet;

use super::view::{Known, Source, View, Waiting};
use super::{Case, Court};
use crate::vocabulary::{
    Answer, Effect, Event, Failure, FailureKind, Input, Output, Retry, Snapshot, State, TokenId,
};

pub(super) fn check(case: &Case, court: &mut Court) {
    let Case { entry, view, .. } = case;
    match &entry.input {
        Some(Input::Acquire) => demand(case, None, court),
        Some(Input::Reject(id)) => refusal(case, *id, court),
        Some(Input::SignIn(_) | Input::SignOut) => identity_ends(case, court),
        _ => {}
    }
    let mut answered = BTreeSet::new();
    for output in &entry.reply.outputs {
        if let Output::Resolve { waiter, outcome } = output {
            court.must(answered.insert(*waiter), "I-04", || format!("waiter {waiter} is answered twice"));
            match view.waiting.get(waiter) {
                Some(waiting) => resolved(case, *waiting, outcome, court),
                None => {
                    court.must(false, "I-04", || format!("waiter {waiter} is answered, but does not wait"));
                }
            }
        }
    }
    round(case, court);
    queue(case, court);
}

/// A grant serves everybody who waited for it, even if its token lives no longer than the exchange took (TIME-06).
fn round(case: &Case, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let Some(Input::Event(event)) = &entry.input else { return };
    let current = view.current_effect().is_some_and(|awaited| awaited.ticket == event.ticket());
    let grant = match (event, view.awaited(event.ticket()).map(|awaited| &awaited.effect)) {
        (Event::Exchanged { result: Ok(grant), .. }, _) if !case.history.settings.shared => grant,
        (Event::Committed { result: Ok(_), .. }, Some(Effect::Commit { record, .. })) => {
            let Some(grant) = record.grant() else { return };
            let exchanged =
                view.heard.get(&grant.access_token).is_some_and(|heard| heard.by == Source::Exchange);
            if !exchanged || view.tokens.values().any(|known| known.token.access_token == grant.access_token)
            {
                return;
            }
            grant
        }
        _ => return,
    };
    let served = |waiter: &u64| {
        entry.reply.outputs.iter().any(|output| {
            matches!(output, Output::Resolve { waiter: served, outcome: Ok(token) }
                if served == waiter && token.access_token == grant.access_token)
        })
    };
    court.must(!current || view.waiting.keys().all(served), "TIME-06", || {
        format!("{} has come, and somebody who waited does not get it", grant.access_token)
    });
}

/// Either a token that may be used, or a place in the queue behind something that is under way, or a failure.
fn demand(case: &Case, refused: Option<TokenId>, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let reply = &entry.reply;
    let usable = view.usable().filter(|known| Some(known.token.id) != refused);
    let answered = matches!(reply.answer, Answer::Ready(_) | Answer::Wait(_) | Answer::Failed(_));
    court.must(answered, "CORE-02", || "a demand has no answer".to_owned());
    match (&reply.answer, usable) {
        (Answer::Ready(token), usable) => {
            // What this very call brought to light counts too: a grant whose save is given up, say.
            let good = usable.is_some_and(|known| known.token == *token) || published_now(case, token);
            court.must(good, "CORE-16", || {
                format!("{:?} is granted, but it is refused, over, or not the current one", token.id)
            });
        }
        (answer, Some(known)) => {
            let rule = if refused.is_some() { "I-07" } else { "CORE-08" };
            court.must(false, rule, || format!("{:?} is good, but the answer is {answer:?}", known.token.id));
        }
        (Answer::Wait(waiter), None) => {
            court.must(reply.state == State::Refreshing, "I-05", || {
                format!("waiter {waiter} waits for nothing")
            });
            court.must(!view.waiting.contains_key(waiter), "I-04", || {
                format!("waiter {waiter} waits already")
            });
        }
        (Answer::Failed(failure), None) => failed(case, *failure, court),
        (Answer::None | Answer::Cancelled(_) | Answer::Misuse, None) => {}
    }
    if let Some(known) = usable {
        background(case, known, court);
    }
}

/// A token that is still fresh starts nothing; one past its soft end starts a refresh in the background.
fn background(case: &Case, known: &Known, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let begun = begins(case);
    let due = known.token.soft_end.is_some_and(|end| view.now >= end);
    let rule = if matches!(entry.input, Some(Input::Reject(_))) { "I-07" } else { "I-08" };
    court.must(due || !begun || !view.settled, rule, || {
        format!("{:?} is fresh, and yet something is begun", known.token.id)
    });
    let idle = matches!(view.state, Some(State::Idle)) && view.settled;
    let reacted = begun || matches!(entry.reply.state, State::Failed(_));
    court.must(!due || !idle || reacted, "CORE-16", || {
        "the soft end has passed, and nothing is begun".to_owned()
    });
}

fn begins(case: &Case) -> bool {
    let mut outputs = case.entry.reply.outputs.iter();
    outputs.any(|output| matches!(output, Output::Run(effect) if effect.ticket().is_some()))
}

fn failed(case: &Case, failure: Failure, court: &mut Court) {
    let Case { entry, view, history, .. } = case;
    if failure.kind == FailureKind::QueueFull {
        court.must(view.waiting.len() >= history.settings.max_waiters, "I-22", || {
            format!("the queue is called full, with {} waiting", view.waiting.len())
        });
        return;
    }
    let owed = failure.kind == FailureKind::SignedOut || failure.kind == FailureKind::SessionEnded;
    court.must(entry.reply.state != State::Refreshing || owed, "CORE-05", || {
        format!("a refresh is under way, and the answer is {failure:?}")
    });
    // The same failure again, although its time has come.
    if let Some(State::Failed(Failure { kind, retry: Retry::At(until) })) = view.state {
        court.must(view.now < until || failure.retry != Retry::At(until), "I-20", || {
            format!("{kind:?} until {until} is over, and is told again")
        });
    }
}

fn refusal(case: &Case, id: TokenId, court: &mut Court) {
    let Case { entry, view, .. } = case;
    let ended = view.tokens.get(&id).is_some_and(|known| belongs_to_the_past(view, known));
    if ended {
        let answer = &entry.reply.answer;
        let right = matches!(answer, Answer::Failed(Failure { kind: FailureKind::SessionEnded, .. }));
        court.must(right, "SESS-03", || format!("{id:?} is of an ended session; the answer is {answer:?}"));
        court.must(!begins(case) || !view.settled, "SESS-03", || {
            format!("the refusal of {id:?}, of an ended session, starts something")
        });
        return;
    }
    if let Answer::Ready(token) = &entry.reply.answer
        && view.tokens.contains_key(&id)
    {
        newer(id, token, court);
    }
    demand(case, Some(id), court);
}

fn belongs_to_the_past(view: &View, known: &Known) -> bool {
    let epoch = known.token.id.epoch;
    known.identity < view.identity || view.latest.is_some_and(|latest| epoch < latest.epoch)
}

fn newer(refused: TokenId, granted: &Snapshot, court: &mut Court) {
    court.must(granted.id.epoch == refused.epoch && granted.id > refused, "I-06", || {
        format!("{:?} is granted to one whose {refused:?} was refused", granted.id)
    });
}

fn resolved(case: &Case, waiting: Waiting, outcome: &Result<Snapshot, Failure>, court: &mut Court) {
    let Case { view, history, .. } = case;
    let Ok(token) = outcome else { return };
    if let Some(refused) = waiting.refused {
        newer(refused, token, court);
    }
    court.must(waiting.identity == view.identity, "I-10", || {
        "somebody who came before the identity changed gets a token".to_owned()
    });
    let family = history.family(&token.access_token);
    court.must(waiting.family.is_none() || waiting.family == family, "I-10", || {
        "somebody gets the token of another identity than the one that was there when it came".to_owned()
    });
    let refused = view.tokens.get(&token.id).is_some_and(|known| known.refused);
    court.must(!refused, "I-06", || format!("{:?} is granted, though it was refused", token.id));
    let own_round = published_now(case, token);
    let over = token.hard_end.is_some_and(|end| view.now >= end);
    court.must(own_round || !over, "CORE-16", || format!("{:?} is granted, though it is over", token.id));
}

fn published_now(case: &Case, token: &Snapshot) -> bool {
    let mut outputs = case.entry.reply.outputs.iter();
    outputs.any(|output| matches!(output, Output::Publish(Some(published)) if published == token))
}

/// Everybody who waited is answered before the next call.
fn identity_ends(case: &Case, court: &mut Court) {
    for waiter in case.view.waiting.keys() {
        let served = case
            .entry
            .reply
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Resolve { waiter: served, .. } if served == waiter));
        court.must(served, "SESS-01", || format!("waiter {waiter} outlives the identity it came for"));
    }
}

fn queue(case: &Case, court: &mut Court) {
    let Case { entry, view, history, .. } = case;
    let served = |waiter: &u64| {
        entry
            .reply
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Resolve { waiter: w, .. } if w == waiter))
            || entry.input == Some(Input::Cancel(*waiter))
    };
    let left = view.waiting.keys().filter(|waiter| !served(waiter)).count();
    let joined = match entry.reply.answer {
        Answer::Wait(waiter) => usize::from(!served(&waiter)),
        _ => 0,
    };
    court.must(left + joined <= history.settings.max_waiters, "I-22", || {
        format!("{} callers wait", left + joined)
    });
    // Only the end of an effect wakes a waiter.
    court.must(left + joined == 0 || entry.reply.state == State::Refreshing, "I-05", || {
        format!("{} callers wait, and nothing is under way", left + joined)
    });
}
