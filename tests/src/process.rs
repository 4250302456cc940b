//! One process of a script: what the driver of its machine knows.

use crate::vocabulary::{Answer, Effect, Event, ExchangeError, Grant, Input, Output, Reply, State, TokenId};

/// The driver of a machine.
pub(crate) struct Process {
    /// How often it was started again.
    pub(crate) starts: u64,
    /// By how much its clock differs from true time.
    pub(crate) offset: i64,
    /// The effects that are out, in the order in which they were begun.
    pub(crate) outstanding: Vec<Outstanding>,
    /// The last end of an effect that was told.
    pub(crate) told: Option<Event>,
    /// When the machine wants to be called.
    pub(crate) timeout: Option<u64>,
    settled: bool,
    published: Vec<TokenId>,
    waiting: Vec<u64>,
    last_waiter: u64,
}

/// An effect that is out.
#[derive(Clone)]
pub(crate) struct Outstanding {
    pub(crate) effect: Effect,
    /// True time.
    pub(crate) begun: u64,
    /// Of an exchange whose request has left: when, by the clock of the process.
    pub(crate) sent_at: Option<u64>,
    /// What the server answered to it.
    pub(crate) result: Option<Result<Grant, ExchangeError>>,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            starts: 0,
            offset: 0,
            outstanding: Vec::new(),
            told: None,
            timeout: None,
            settled: true,
            published: Vec::new(),
            waiting: Vec::new(),
            last_waiter: 0,
        }
    }

    /// The process starts again: what was in memory is gone, its clock is not.
    pub(crate) fn restart(&mut self) {
        *self = Self { starts: self.starts + 1, offset: self.offset, ..Self::new() };
    }

    /// The reply that stands for a start in a history.
    pub(crate) fn birth() -> Reply {
        Reply { answer: Answer::None, outputs: Vec::new(), state: State::Idle, timeout: None, settled: true }
    }

    /// The machine answered a call.
    pub(crate) fn take(&mut self, input: &Input, reply: &Reply, now: u64) {
        if let Answer::Wait(waiter) = reply.answer {
            self.waiting.push(waiter);
            self.last_waiter = waiter;
        }
        if let Input::Cancel(gone) = input {
            self.waiting.retain(|waiter| waiter != gone);
        }
        for output in &reply.outputs {
            match output {
                Output::Publish(Some(token)) if !self.published.contains(&token.id) => {
                    self.published.push(token.id);
                }
                Output::Resolve { waiter: served, .. } => self.waiting.retain(|waiter| waiter != served),
                Output::Run(effect) if effect.ticket().is_some() => self.outstanding.push(Outstanding {
                    effect: effect.clone(),
                    begun: now,
                    sent_at: None,
                    result: None,
                }),
                Output::Publish(_) | Output::Notify(_) | Output::Run(_) => {}
            }
        }
        self.timeout = reply.timeout;
        self.settled = reply.settled;
    }

    /// The token published so many publications ago, or the oldest; one that never was if there is none.
    pub(crate) fn published(&self, which: u8) -> TokenId {
        let index = self.published.len().saturating_sub(usize::from(which) + 1);
        self.published.get(index).copied().unwrap_or(TokenId { epoch: 0, generation: 0 })
    }

    /// The waiter that came so many waiters ago and still waits, or the last one that waited.
    pub(crate) fn waiter(&self, which: u8) -> u64 {
        self.waiting.iter().rev().copied().nth(which.into()).unwrap_or(self.last_waiter)
    }

    /// The exchange that was begun last, if its request has not left.
    pub(crate) fn unsent(&self) -> Option<&Outstanding> {
        let newest = self.outstanding.last()?;
        (newest.sent_at.is_none() && matches!(newest.effect, Effect::Exchange { .. })).then_some(newest)
    }

    /// The effect with this ticket, if it is out.
    pub(crate) fn awaiting(&mut self, ticket: u64) -> Option<&mut Outstanding> {
        self.outstanding.iter_mut().find(|outstanding| outstanding.effect.ticket() == Some(ticket))
    }

    /// Whether something is under way, owed or waited for.
    pub(crate) fn is_busy(&self) -> bool {
        !self.outstanding.is_empty() || !self.settled || !self.waiting.is_empty()
    }
}
