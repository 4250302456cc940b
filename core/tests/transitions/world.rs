use std::time::Duration;

use token_refresh_core::{
    Acquire, Action, Body, Claimant, CommitError, Config, Effect, Epoch, Event, ExchangeError, Failure,
    Generation, Grant, Holder, Machine, Persistence, Record, Retry, SessionId, State, StoreError, Stored,
    Ticket, Timestamp, TokenId, Version, WaiterId,
};

/// A machine, and what is around it: a clock, a store that other processes use, a server.
#[derive(Clone)]
pub(crate) struct World {
    machine: Machine,
    now: Timestamp,
    /// The effect that is out.
    out: Option<Effect>,
    /// Exchanges without an answer.
    exchanges: Vec<Ticket>,
    store: Stored,
    /// The last record whose commit had no answer.
    unanswered: Option<Record>,
    token: Option<TokenId>,
    waiter: Option<WaiterId>,
}

impl World {
    pub(crate) fn new(persistence: Persistence) -> Self {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut config = Config::default();
        config.persistence = persistence;
        Self {
            machine: Machine::new(config, 1, now).expect("a configuration that works"),
            now,
            out: None,
            exchanges: Vec::new(),
            store: Stored::default(),
            unanswered: None,
            token: None,
            waiter: None,
        }
    }

    /// What the machine says it is doing, and which effect of it is out.
    pub(crate) fn label(&self) -> String {
        match (self.machine.state(), &self.out) {
            (State::Idle, _) => "Idle".to_owned(),
            (State::Refreshing, Some(effect)) => format!("Refreshing({})", self.step(effect)),
            (State::Refreshing, None) => panic!("refreshing, and no effect is out"),
            (State::Failed(Failure { kind, retry: Retry::Never }), _) => format!("Failed({kind:?}, Never)"),
            (State::Failed(Failure { kind, retry: Retry::At(_) }), _) => format!("Failed({kind:?}, At)"),
        }
    }

    /// What an effect is for. A commit does not say it: it shows in what is replaced by what.
    fn step(&self, effect: &Effect) -> &'static str {
        let record = match effect {
            Effect::Load { .. } => return "Load",
            Effect::Exchange { .. } => return "Exchange",
            Effect::Revoke { .. } => return "Revoke",
            Effect::Commit { record, .. } => record,
        };
        match &self.store.record {
            Some(before) if before.session == record.session && record.body != Body::SignedOut => {
                match record.holder {
                    _ if record.serial > before.serial => "Save",
                    _ if record.refused && !before.refused => "Mark",
                    Some(_) => "Claim",
                    None => "Release",
                }
            }
            Some(_) | None => "Establish",
        }
    }

    /// Tells the machine this, and says what comes out; `None` if it cannot happen now.
    pub(crate) fn meet(&mut self, input: &str) -> Option<String> {
        let mut outputs = vec![self.command(input).or_else(|| self.completion(input))?];
        while let Some(action) = self.machine.poll_action() {
            outputs.push(match action {
                Action::Publish(None) => "publish nothing".to_owned(),
                Action::Publish(Some(snapshot)) => {
                    self.token = Some(snapshot.id);
                    "publish token".to_owned()
                }
                Action::Resolve { outcome: Ok(_), .. } => "resolve token".to_owned(),
                Action::Resolve { outcome: Err(failure), .. } => format!("resolve {:?}", failure.kind),
                Action::Notify(notice) => {
                    let notice = format!("{notice:?}");
                    format!("notify {}", notice.split(' ').next().unwrap_or_default())
                }
                Action::Run(effect) => {
                    let run = format!("run {}", self.step(&effect));
                    match effect {
                        Effect::Load { .. } | Effect::Commit { .. } => self.out = Some(effect),
                        Effect::Exchange { ticket, .. } => {
                            self.exchanges.push(ticket);
                            self.out = Some(effect);
                        }
                        Effect::Revoke { .. } => {}
                    }
                    run
                }
            });
        }
        self.out = self.out.take().filter(|_| self.machine.state() == State::Refreshing);
        outputs.retain(|output| !output.is_empty());
        Some(outputs.join(", "))
    }

    fn command(&mut self, input: &str) -> Option<String> {
        let Self { machine, now, .. } = self;
        let due = match machine.state() {
            State::Failed(Failure { retry, .. }) => Some(retry),
            State::Idle | State::Refreshing => None,
        };
        let mut answer = None;
        match input {
            "acquire" => answer = Some(machine.acquire(*now)),
            "acquire when due" => {
                *now = match due? {
                    Retry::At(instant) => instant,
                    Retry::Never => now.after(Duration::from_secs(1)),
                };
                answer = Some(machine.acquire(*now));
            }
            "reject current" => answer = Some(machine.reject(self.token?, *now)),
            "reject older" => {
                let older = TokenId { generation: Generation(0), ..self.token? };
                answer = Some(machine.reject(older, *now));
            }
            "reject other epoch" => {
                let epoch = Epoch(machine.epoch().0.checked_sub(1)?);
                answer = Some(machine.reject(TokenId { epoch, ..self.token? }, *now));
            }
            "accept current" => machine.accept(self.token?, *now),
            "cancel" => return machine.cancel(self.waiter?).then(String::new),
            "sign_in" => machine.sign_in(grant("signed-in"), *now),
            "sign_in without refresh token" => machine.sign_in(Grant::new("at").expect("valid"), *now),
            "sign_out" => machine.sign_out(*now),
            "reset" => machine.reset(*now),
            "retry time" => {
                let Retry::At(instant) = due? else { return None };
                *now = instant;
                machine.handle_timeout(*now);
            }
            "timeout" => {
                *now = machine.poll_timeout()?.max(*now);
                machine.handle_timeout(*now);
            }
            "soft end" => *now = machine.current()?.soft_end?,
            "hard end" => *now = machine.current()?.hard_end?,
            "limit of saving" => *now = now.after(machine.config().save_limit),
            _ => return None,
        }
        Some(match answer {
            None => String::new(),
            Some(Acquire::Ready(_)) => "ready".to_owned(),
            Some(Acquire::Failed(failure)) => format!("failed {:?}", failure.kind),
            Some(Acquire::Wait(waiter)) => {
                self.waiter = Some(waiter);
                "wait".to_owned()
            }
        })
    }

    fn completion(&mut self, input: &str) -> Option<String> {
        let event = if let Some(answer) = input.strip_prefix("late ") {
            let out = self.out.as_ref().map(ticket_of);
            let ticket = *self.exchanges.iter().find(|ticket| Some(**ticket) != out)?;
            Event::Exchanged { ticket, sent_at: self.now, result: answered(answer)? }
        } else {
            match self.out.clone()? {
                effect if input == "abandoned" => Event::Abandoned { ticket: ticket_of(&effect) },
                Effect::Load { ticket, .. } => Event::Loaded { ticket, result: self.loaded(input)? },
                Effect::Commit { ticket, record, .. } => {
                    Event::Committed { ticket, result: self.committed(input, record)? }
                }
                Effect::Exchange { ticket, send_by, .. } => {
                    let result = answered(input)?;
                    if input == "not sent in time" {
                        self.now = send_by.after(Duration::from_millis(1));
                    }
                    Event::Exchanged { ticket, sent_at: self.now, result }
                }
                Effect::Revoke { .. } => return None,
            }
        };
        if let Event::Exchanged { ticket, .. } | Event::Abandoned { ticket } = event {
            self.exchanges.retain(|exchange| *exchange != ticket);
        }
        self.machine.handle_event(event, self.now).expect("this effect is out");
        Some(String::new())
    }

    /// What a load finds: the record that the machine knows, or what another process has made of it.
    fn loaded(&mut self, input: &str) -> Option<Result<Stored, StoreError>> {
        let Stored { version, record } = self.store.clone();
        let moved = Version(version.0 + 1);
        let foreign = record.clone().unwrap_or(Record {
            session: SessionId(1),
            serial: 0,
            born: 0,
            contested: false,
            body: Body::Vacant,
            refused: false,
            presented: 0,
            first_at: Timestamp::ZERO,
            holder: None,
        });
        let body = Body::Grant { grant: grant("foreign"), obtained_at: self.now };
        let (version, record) = match input {
            "load unavailable" => return Some(Err(StoreError)),
            "loaded stale" => {
                return Some(Ok(Stored { version: Version(version.0.checked_sub(1)?), record }));
            }
            "loaded nothing" => (moved, None),
            "loaded as known" => (version, Some(record?)),
            "loaded what was unanswered" => (moved, Some(self.unanswered.take()?)),
            "loaded newer" => (
                moved,
                Some(Record { serial: foreign.serial + 1, body, holder: None, presented: 0, ..foreign }),
            ),
            "loaded foreign claim" => {
                let holder = Some(Holder { claimant: Claimant(1), term: Duration::from_secs(15) });
                let presented = foreign.presented + 1;
                (moved, Some(Record { holder, presented, first_at: self.now, ..record? }))
            }
            "loaded refused" => (moved, Some(Record { refused: true, ..record? })),
            "loaded signed out" => (moved, Some(Record { body: Body::SignedOut, ..foreign })),
            "loaded other identity" => {
                let session = SessionId(foreign.session.0.wrapping_add(1));
                (moved, Some(Record { session, serial: 1, body, ..foreign }))
            }
            _ => return None,
        };
        self.store = Stored { version, record };
        Some(Ok(self.store.clone()))
    }

    fn committed(&mut self, input: &str, record: Record) -> Option<Result<Version, CommitError>> {
        match input {
            "committed" => {
                let version = Version(self.store.version.0 + 1);
                self.store = Stored { version, record: Some(record) };
                Some(Ok(version))
            }
            "commit conflict" => Some(Err(CommitError::Conflict)),
            "commit unavailable" => {
                self.unanswered = Some(record);
                Some(Err(CommitError::Unavailable))
            }
            _ => None,
        }
    }
}

/// What the server answers to an exchange.
fn answered(input: &str) -> Option<Result<Grant, ExchangeError>> {
    Some(match input {
        "granted" => Ok(grant("granted")),
        "not sent" | "not sent in time" => Err(ExchangeError::NotSent),
        "ambiguous" => Err(ExchangeError::Ambiguous { retry_after: None }),
        "ambiguous, try later" => Err(ExchangeError::Ambiguous { retry_after: Some(Duration::from_secs(7)) }),
        "transient" => Err(ExchangeError::Transient { retry_after: None }),
        "unexplained" => Err(ExchangeError::Unexplained),
        "refused" => Err(ExchangeError::Permanent),
        "interaction" => Err(ExchangeError::Interaction),
        "misconfigured" => Err(ExchangeError::Misconfigured),
        "invalid request" => Err(ExchangeError::InvalidRequest),
        "invalid scope" => Err(ExchangeError::InvalidScope),
        _ => return None,
    })
}

fn ticket_of(effect: &Effect) -> Ticket {
    match effect {
        Effect::Load { ticket, .. } | Effect::Commit { ticket, .. } | Effect::Exchange { ticket, .. } => {
            *ticket
        }
        Effect::Revoke { .. } => panic!("a revocation is not answered"),
    }
}

fn grant(name: &str) -> Grant {
    Grant::new(format!("at-{name}"))
        .and_then(|grant| grant.with_refresh_token(format!("rt-{name}")))
        .expect("tokens of visible characters")
        .with_lifetime(Duration::from_secs(3600))
}
