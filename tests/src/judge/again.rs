//! What is asked once more at once after an answer that allows it, and how (XREQ-04, XRSP-12, the table of Q2).

use std::collections::BTreeMap;

use super::{Case, Court};
use crate::vocabulary::{Answer, Effect, Event, ExchangeError, Input, Output, State};

/// One observer per process.
#[derive(Default)]
pub(super) struct Again {
    processes: BTreeMap<u8, Round>,
}

/// What was answered since a refresh began.
#[derive(Default)]
struct Round {
    /// `invalid_request`, so often in a row.
    disputed: u32,
    /// The store was not read since the last of these answers.
    unread: bool,
    /// The last word about the scope is that it is not granted.
    refused: bool,
    /// It was said at least once.
    left_out: bool,
}

impl Again {
    pub(super) fn check(&mut self, case: &Case, court: &mut Court) {
        let round = self.processes.entry(case.entry.process).or_default();
        match &case.entry.input {
            None | Some(Input::SignIn(_) | Input::SignOut) => *round = Round::default(),
            // What had stopped the round is forgiven, even while its end is still being written.
            Some(Input::Reset) if round.disputed > 1 => *round = Round::default(),
            Some(Input::Event(event)) if case.entry.reply.answer != Answer::Misuse => {
                round.ended(case, event);
            }
            _ => {}
        }
        for output in &case.entry.reply.outputs {
            if let Output::Run(Effect::Exchange { without_scope, .. }) = output {
                round.start(case, *without_scope, court);
            }
        }
        if case.entry.reply.state != State::Refreshing {
            *round = Round::default();
        }
    }
}

impl Round {
    fn ended(&mut self, case: &Case, event: &Event) {
        let waited_for = case.view.current_effect().is_some_and(|awaited| awaited.ticket == event.ticket());
        match event {
            Event::Loaded { result: Some(_), .. } => self.unread = false,
            Event::Exchanged { result: Err(error), .. } if waited_for => match error {
                ExchangeError::InvalidRequest => (self.disputed, self.unread) = (self.disputed + 1, true),
                ExchangeError::InvalidScope => (self.refused, self.left_out) = (true, true),
                ExchangeError::NotSent => {}
                // After any other word the machine may have begun anew in the same call.
                _ => *self = Self { left_out: self.left_out, ..Self::default() },
            },
            Event::Exchanged { .. } | Event::Abandoned { .. } => {
                *self = Self { left_out: self.left_out, ..Self::default() };
            }
            Event::Loaded { result: None, .. } | Event::Committed { .. } => {}
        }
    }

    fn start(&self, case: &Case, without_scope: bool, court: &mut Court) {
        court.must(self.disputed <= 1, "XRSP-12", || {
            format!("asked again after {} answers of invalid_request", self.disputed)
        });
        court.must(self.disputed == 0 || !self.unread || !case.history.settings.shared, "XRSP-12", || {
            "asked again after invalid_request, and the store was not read again".to_owned()
        });
        court.must(!self.refused || without_scope, "XREQ-04", || {
            "a scope is asked for that was just refused".to_owned()
        });
        court.must(!without_scope || self.left_out, "XREQ-04", || {
            "the scope is left out, though nobody refused it".to_owned()
        });
    }
}
