//! How effects are carried out, or fail to be.

use super::Executor;
use crate::history::Fault;
use crate::process::Outstanding;
use crate::script::{How, Sending, Step};
use crate::store::Write;
use crate::vocabulary::{CommitError, Effect, Event, ExchangeError, Grant, Input, Record};

/// So many looks at the store are enough to wait for any claim.
const LOOKS: usize = 200;

/// Whether a driver still minds the limit of an exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Limited,
    Endless,
}

/// Something on its way.
pub(super) enum Delayed {
    Commit { process: u8, expected: u64, record: Record },
    Request { process: u8, life: u64, ticket: u64, refresh: Option<String> },
}

impl Executor<'_> {
    pub(super) fn watch(&mut self, p: u8) {
        for _ in 0..LOOKS {
            match self.process(p).outstanding.as_slice() {
                [.., Outstanding { effect: Effect::Load { .. }, .. }] => {
                    self.step(Step::Answer(p, How::Well));
                }
                _ => break,
            }
        }
    }

    /// The request of the exchange that was begun last leaves the machine, if one is waiting to.
    pub(super) fn send(&mut self, p: u8, sending: Sending) {
        let Some(Outstanding { effect, begun, .. }) = self.process(p).unsent().cloned() else { return };
        let Effect::Exchange { ticket, refresh, send_by, .. } = effect else { return };
        self.pause_since(begun);
        let clock = self.clock(p);
        let late = clock > send_by;
        if late && sending != Sending::TooLate {
            self.tell(p, Event::Exchanged { ticket, sent_at: clock, result: Err(ExchangeError::NotSent) });
            return;
        }
        self.note(Fault::LateRequest, late || sending == Sending::Slowly);
        let result = if sending == Sending::Slowly {
            let life = self.process(p).starts;
            self.delayed.push_back(Delayed::Request { process: p, life, ticket, refresh });
            None
        } else {
            Some(self.authority.present(refresh.as_deref(), How::Well, self.name(p), self.now))
        };
        if let Some(outstanding) = self.process(p).awaiting(ticket) {
            outstanding.sent_at = Some(clock);
            outstanding.result = result;
        }
    }

    /// The effect at `index` comes to an end.
    pub(super) fn answer(&mut self, p: u8, index: usize, how: How, patience: Patience) {
        let Some(outstanding) = self.process(p).outstanding.get(index).cloned() else { return };
        self.pause_since(outstanding.begun);
        let event = match outstanding.effect {
            Effect::Load { ticket, not_before } => {
                self.pass(not_before.saturating_sub(self.clock(p)));
                let result = match how {
                    How::Lost | How::AnswerLost => None,
                    How::Delayed => Some(self.store.previous()),
                    _ => Some(self.store.current()),
                };
                Event::Loaded { ticket, result }
            }
            Effect::Commit { ticket, expected, record } => {
                Event::Committed { ticket, result: self.commit(p, expected, record, how) }
            }
            Effect::Exchange { ticket, ref refresh, send_by, limit, .. } => {
                let clock = self.clock(p);
                let result = match outstanding.sent_at {
                    None if how == How::NotSent || clock > send_by => Err(ExchangeError::NotSent),
                    None => self.exchange(p, ticket, refresh.as_deref(), how),
                    Some(sent_at) => {
                        let in_time = clock.saturating_sub(sent_at) <= limit || patience == Patience::Endless;
                        let lost = matches!(how, How::Lost | How::AnswerLost | How::Delayed);
                        let answer = outstanding.result.clone().filter(|_| in_time && !lost);
                        answer.unwrap_or(Err(ExchangeError::Ambiguous(None)))
                    }
                };
                self.note(Fault::ExchangeLost, matches!(result, Err(ExchangeError::Ambiguous(_))));
                Event::Exchanged { ticket, sent_at: outstanding.sent_at.unwrap_or(clock), result }
            }
            Effect::Revoke { .. } => return,
        };
        self.tell(p, event);
    }

    fn commit(&mut self, p: u8, expected: u64, record: Record, how: How) -> Result<u64, CommitError> {
        let process = self.name(p);
        self.note(Fault::CommitLost, matches!(how, How::Lost | How::AnswerLost | How::Delayed));
        match how {
            How::Lost => Err(CommitError::Unavailable),
            How::Delayed => {
                self.delayed.push_back(Delayed::Commit { process, expected, record });
                Err(CommitError::Unavailable)
            }
            _ => {
                let write = Write { process, position: self.entries.len(), record };
                let written = self.store.commit(expected, write).ok_or(CommitError::Conflict);
                if how == How::AnswerLost { Err(CommitError::Unavailable) } else { written }
            }
        }
    }

    fn exchange(
        &mut self,
        p: u8,
        ticket: u64,
        refresh: Option<&str>,
        how: How,
    ) -> Result<Grant, ExchangeError> {
        match how {
            How::Lost => Err(ExchangeError::Ambiguous(None)),
            How::Delayed => {
                self.faults.insert(Fault::LateRequest);
                let life = self.process(p).starts;
                let refresh = refresh.map(str::to_owned);
                self.delayed.push_back(Delayed::Request { process: p, life, ticket, refresh });
                Err(ExchangeError::Ambiguous(None))
            }
            _ => {
                self.note(Fault::Whim, matches!(how, How::NoRefreshToken | How::SameRefreshToken));
                let result = self.authority.present(refresh, how, self.name(p), self.now);
                match how {
                    How::AnswerLost => Err(ExchangeError::Ambiguous(None)),
                    How::Broken(after) => Err(ExchangeError::Ambiguous(Some(after))),
                    _ => result,
                }
            }
        }
    }

    fn tell(&mut self, p: u8, event: Event) {
        let process = self.process(p);
        process.outstanding.retain(|outstanding| outstanding.effect.ticket() != Some(event.ticket()));
        process.told = Some(event.clone());
        self.call(p, Input::Event(event));
    }

    pub(super) fn land(&mut self) {
        match self.delayed.pop_front() {
            None => {}
            Some(Delayed::Commit { process, expected, record }) => {
                let write = Write { process, position: self.entries.len(), record };
                self.store.commit(expected, write);
            }
            Some(Delayed::Request { process, life, ticket, refresh }) => {
                let result = self.authority.present(refresh.as_deref(), How::Well, process, self.now);
                let process = self.process(process);
                if process.starts == life
                    && let Some(outstanding) = process.awaiting(ticket)
                {
                    outstanding.result = Some(result);
                }
            }
        }
    }
}
