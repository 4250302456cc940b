use std::sync::Arc;

use token_refresh_core::{Effect, Event, ExchangeError};

use crate::{engine::Engine, telemetry::Span};

/// An effect to be run, and the duty to answer it. Whoever holds it is the driver of the run.
///
/// A baton that is dropped answers for itself, so that a panic, a task that is thrown away or a thread that could not
/// be started never leaves callers waiting (CORE-03).
pub(crate) struct Baton {
    engine: Arc<Engine>,
    /// `None` once it is answered.
    effect: Option<Effect>,
    taken_up: bool,
    /// How many batons of this run were dropped in a row, this one not counted.
    drops: u8,
}

impl Baton {
    /// Where nothing can be started any more, each dropped baton would make the next one, on the same stack. The
    /// watchdog answers for what is left.
    const MOST_DROPS: u8 = 8;

    pub(crate) fn new(engine: Arc<Engine>, effect: Effect) -> Self {
        Self { engine, effect: Some(effect), taken_up: false, drops: 0 }
    }

    /// What is to be done, and the span to do it in. From here on it may have been done.
    pub(crate) fn take_up(&mut self) -> Option<(&Effect, Span)> {
        self.taken_up = true;
        self.effect.as_ref().map(|effect| (effect, self.engine.telemetry.span(effect)))
    }

    /// Answers the effect; `None` for one that is not answered. The run goes on with the baton that comes back.
    pub(crate) fn pass(mut self, event: Option<Event>) -> Option<Self> {
        self.effect = None;
        self.answer(event)
    }

    fn answer(&self, event: Option<Event>) -> Option<Self> {
        let ((), mut rest) = self.engine.step(|inner, now| {
            inner.ran();
            if let Some(event) = event {
                // An answer that comes too late to matter is refused, and changes nothing.
                let _ = inner.machine.handle_event(event, now);
            }
        });
        let next = rest.successor();
        self.engine.carry_out(rest);
        next.map(|effect| Self::new(Arc::clone(&self.engine), effect))
    }
}

impl Drop for Baton {
    fn drop(&mut self) {
        let Some(effect) = self.effect.take() else { return };
        let event = match effect {
            _ if self.drops == Self::MOST_DROPS => None,
            // It was never begun, so the refresh token is as good as before.
            Effect::Exchange { ticket, .. } if !self.taken_up => Some(Event::Exchanged {
                ticket,
                sent_at: self.engine.clock.now(),
                result: Err(ExchangeError::NotSent),
            }),
            Effect::Load { ticket, .. } | Effect::Commit { ticket, .. } | Effect::Exchange { ticket, .. } => {
                Some(Event::Abandoned { ticket })
            }
            Effect::Revoke { .. } => None,
        };
        if let Some(mut next) = self.answer(event) {
            next.drops = self.drops + 1;
            self.engine.start(next);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use token_refresh_core::{Config, Grant, Machine, Persistence, Stored, Timestamp, Version};

    use super::*;
    use crate::{
        ManualClock, Session,
        engine::{Runner, Work},
        telemetry::Telemetry,
    };

    /// Keeps a record and answers exchanges, and lets everything drop from the moment at which there is a new grant.
    #[derive(Default)]
    struct Falling {
        stored: Mutex<Stored>,
        falls: Mutex<u32>,
    }

    impl Falling {
        fn run(&self, effect: &Effect) -> Option<Event> {
            let mut stored = self.stored.lock().unwrap();
            match effect {
                _ if *self.falls.lock().unwrap() > 0 => None,
                Effect::Load { ticket, .. } => {
                    Some(Event::Loaded { ticket: *ticket, result: Ok(stored.clone()) })
                }
                Effect::Commit { ticket, expected, record } => {
                    let version = Version(expected.0 + 1);
                    *stored = Stored { version, record: Some(record.clone()) };
                    Some(Event::Committed { ticket: *ticket, result: Ok(version) })
                }
                Effect::Exchange { ticket, .. } => {
                    *self.falls.lock().unwrap() += 1;
                    let result = Ok(Grant::new("at2").unwrap().with_refresh_token("rt2").unwrap());
                    Some(Event::Exchanged { ticket: *ticket, sent_at: Timestamp::ZERO, result })
                }
                Effect::Revoke { .. } => None,
            }
        }
    }

    impl Runner for Arc<Falling> {
        fn start(&self, work: Work) {
            let Work::Effect(baton) = work else { return };
            let mut next = Some(*baton);
            while let Some(mut baton) = next {
                let Some(event) = baton.take_up().and_then(|(effect, _)| self.run(effect)) else {
                    *self.falls.lock().unwrap() += 1;
                    return;
                };
                next = baton.pass(Some(event));
            }
        }
    }

    #[test]
    fn core_03_where_nothing_can_run_any_more_the_watchdog_answers() {
        let mut config = Config::default();
        config.persistence = Persistence::Shared;
        let machine = Machine::new(config, 1, Timestamp::ZERO).unwrap();
        let (clock, runner) = (ManualClock::default(), Arc::new(Falling::default()));
        let engine = Engine::new(
            machine,
            Arc::new(clock.clone()),
            Telemetry::default(),
            Box::new(Arc::clone(&runner)),
        );
        let session = Session::new(engine, Duration::from_secs(30));
        session.sign_in(Grant::new("at1").unwrap().with_refresh_token("rt1").unwrap());
        let refused = session.current().unwrap().id();

        // The grant is in hand and cannot be saved. The clock stands still, so the run looks again for ever.
        assert!(session.reject_within(refused, Duration::ZERO).is_err());
        assert!((2..20).contains(&*runner.falls.lock().unwrap()));

        // A watchdog that comes late waits for a moment: the answer might be there.
        clock.advance(Duration::from_secs(30));
        assert!(session.token_within(Duration::ZERO).is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(session.token().unwrap().secret().expose(), "at2");
    }
}
