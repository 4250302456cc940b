//! What must be true when all has come to rest (I-05, I-19, I-20, I-23, RETRY-02, SESS-04, rules 5, 8 and 9), and what
//! the server must never have seen (the table "what each policy can lose" of the claim protocol).

use super::Court;
use super::view::View;
use crate::authority::End;
use crate::history::{Entry, Fault, History};
use crate::script::Server;
use crate::store::Write;
use crate::subject::Policy;
use crate::text::Name;
use crate::vocabulary::{Answer, Body, Effect, Event, ExchangeError, Grant, Input, Output};

pub(super) fn check(history: &History, views: &[View], court: &mut Court) {
    court.must(history.quiet, "I-19", || "answered and served, the machines do not come to rest".to_owned());
    for (p, view) in (0..).zip(views) {
        court.must(view.waiting.is_empty(), "I-05", || {
            format!("{} callers of {} wait for ever", view.waiting.len(), Name(p))
        });
    }
    reuse(history, court);
    if history.settings.shared {
        newest(history, court);
        left_behind(history, court);
        if !history.settings.ambient {
            identities(history, court);
        }
    }
    recovery(history, court);
}

/// What the server saw.
fn reuse(history: &History, court: &mut Court) {
    let reset = history.entries.iter().any(|entry| entry.input == Some(Input::Reset));
    let taken_for_theft = history.authority.families().iter().any(|family| family.end == Some(End::Reuse));
    let again = history.authority.presentations().iter().find(|presentation| presentation.again);
    match (history.settings.policy, history.world.server) {
        (Policy::Never { last_resort: false }, _) if !reset => {
            court.must(again.is_none(), "RETRY-02", || {
                format!("a spent refresh token is presented, whatever the policy says: {again:?}")
            });
        }
        (Policy::Once { window, last_resort: false }, server) if !reset => {
            let promised = match server {
                Server::Window(open) => open >= window && !history.suffered(Fault::LateRequest),
                // Where the last successor wins, one kind of fault at a time, and no silent claimant.
                Server::LastWins(open) => {
                    open >= window && !history.may_be_disordered() && history.faults.len() <= 1
                }
                Server::Strict | Server::Lenient | Server::Static => false,
            };
            court.must(!promised || history.suffered(Fault::Clocks) || !taken_for_theft, "RETRY-02", || {
                format!("the server saw a refresh token again outside its window: {again:?}")
            });
        }
        _ => {}
    }
    if history.faults.is_empty() {
        court.must(again.is_none() || reset, "I-23", || {
            format!("nothing went wrong, and a spent refresh token is presented: {again:?}")
        });
    }
}

/// A good refresh token that reached a process which lives on is in the store.
fn newest(history: &History, court: &mut Court) {
    let Some(Grant { access_token, refresh_token, .. }) =
        history.settled_record().and_then(|it| it.record.grant())
    else {
        return;
    };
    let Some(family) = history.family(access_token) else { return };
    let disordered = history.may_be_disordered();
    let of_family = |refresh: &&String| {
        history.authority.refresh_token(refresh).is_some_and(|token| token.family == family)
    };
    let Some(active) = history.good.iter().find(of_family).filter(|_| !disordered) else { return };
    let reached =
        history.entries.iter().enumerate().take(history.epilogue).find(|(_, entry)| match &entry.input {
            Some(Input::Event(Event::Exchanged { result: Ok(grant), .. })) => {
                grant.refresh_token.as_ref() == Some(active) && entry.reply.answer != Answer::Misuse
            }
            _ => false,
        });
    let Some((index, Entry { process, .. })) = reached else { return };
    let mut later = history.entries.iter().skip(index).filter(|entry| entry.process == *process);
    let lives_on = later.all(|entry| !matches!(entry.input, None | Some(Input::SignIn(_) | Input::SignOut)));
    court.must(!lives_on || refresh_token.as_ref() == Some(active), "rule 5", || {
        format!("{active} reached {}, which lives on; stored is {refresh_token:?}", Name(*process))
    });
}

/// No claim of a process that lives on is left behind (rule 8).
fn left_behind(history: &History, court: &mut Court) {
    let Some(holder) = history.settled_record().and_then(|write| write.record.holder) else { return };
    let claims = |write: &&Write| write.record.holder == Some(holder);
    let Some(Write { process, .. }) = history.store.writes().iter().find(claims) else { return };
    let own = history.entries.iter().filter(|entry| entry.process == *process);
    let mut since = own.skip_while(|entry| {
        !entry.reply.outputs.iter().any(|output| {
            matches!(output, Output::Run(Effect::Commit { record, .. }) if record.holder == Some(holder))
        })
    });
    let ends = since.any(|entry| matches!(entry.input, None | Some(Input::SignIn(_) | Input::SignOut)));
    court.must(ends, "rule 8", || format!("a claim of {} stays", Name(*process)));
}

/// The last sign-in or sign-out holds.
fn identities(history: &History, court: &mut Court) {
    let is_command = |entry: &&Entry| matches!(entry.input, Some(Input::SignIn(_) | Input::SignOut));
    let Some((index, last)) = history.entries.iter().enumerate().rfind(|(_, entry)| is_command(entry)) else {
        return;
    };
    let starts =
        history.entries.iter().filter(|entry| entry.process == last.process && entry.input.is_none());
    // A sign-out of a process that never heard of a session means the one it finds; that may be a stale one.
    let before = history.entries.iter().take(index).rev().filter(|entry| entry.process == last.process);
    let knows = before
        .take_while(|entry| entry.input.is_some())
        .any(|entry| entry.reply.outputs.iter().any(|output| matches!(output, Output::Publish(Some(_)))));
    let alone = knows && history.entries.iter().filter(is_command).all(|entry| entry.process == last.process);
    if starts.count() > 1 || !alone {
        return;
    }
    let stored = history.settled_record().map(|write| &write.record.body);
    let Some(Input::SignIn(grant)) = &last.input else {
        let gone = stored.is_none_or(|body| *body == Body::SignedOut);
        court.must(gone, "SESS-04", || format!("the last sign-out is lost; stored is {stored:?}"));
        return;
    };
    let kept = match stored {
        Some(Body::Grant { grant: stored, .. }) => {
            history.family(&stored.access_token) == history.family(&grant.access_token)
        }
        _ => false,
    };
    court.must(kept, "SESS-01", || format!("the last sign-in is lost; stored is {stored:?}"));
}

/// Who asks again after everything has passed gets a token, if there is one to be had.
fn recovery(history: &History, court: &mut Court) {
    court.at = history.epilogue;
    for process in 0..history.world.processes {
        let expected = if history.settings.shared {
            shared_credential_is_good(history, process)
        } else {
            own_credential_is_good(history, process)
        };
        let served = history.entries.iter().enumerate().skip(history.epilogue).filter(|(_, entry)| {
            entry.process == process
                && (matches!(entry.reply.answer, Answer::Ready(_))
                    || entry
                        .reply
                        .outputs
                        .iter()
                        .any(|output| matches!(output, Output::Resolve { outcome: Ok(_), .. })))
        });
        if expected {
            court.must(served.count() > 0, "I-20", || {
                format!("{} asks, and gets no token, though the credential is good", Name(process))
            });
        }
    }
}

/// The stored refresh token is good, was never presented, and nobody told this process that the user is wanted.
fn shared_credential_is_good(history: &History, process: u8) -> bool {
    let Some(record) = history.settled_record().map(|write| &write.record) else { return false };
    let Some(refresh) = record.grant().and_then(|grant| grant.refresh_token.as_ref()) else { return false };
    let interaction = [ExchangeError::Interaction, ExchangeError::InvalidScope]
        .into_iter()
        .any(|error| failed_with(history, process, error));
    !record.refused && record.presented == 0 && history.good.contains(refresh) && !interaction
}

/// Without a store: the last thing that this process heard of its credential was good.
fn own_credential_is_good(history: &History, process: u8) -> bool {
    let mut good = false;
    let before = history.entries.iter().take(history.epilogue).filter(|entry| entry.process == process);
    for entry in before.filter(|entry| entry.reply.answer != Answer::Misuse) {
        match &entry.input {
            None | Some(Input::SignOut | Input::Event(Event::Abandoned { .. })) => good = false,
            Some(Input::SignIn(grant)) => good = grant.refresh_token.is_some(),
            Some(Input::Event(Event::Exchanged { result: Err(error), .. })) => {
                good &= matches!(
                    error,
                    ExchangeError::NotSent
                        | ExchangeError::Transient(_)
                        | ExchangeError::Unexplained
                        | ExchangeError::Misconfigured
                        | ExchangeError::InvalidRequest
                );
            }
            _ => {}
        }
    }
    good && history.faults.is_empty()
}

fn failed_with(history: &History, process: u8, wanted: ExchangeError) -> bool {
    history.entries.iter().any(|entry| {
        entry.process == process
            && matches!(&entry.input, Some(Input::Event(Event::Exchanged { result: Err(error), .. })) if *error == wanted)
    })
}
