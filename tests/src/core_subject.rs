//! Makes a [`Subject`](crate::subject::Subject) of a copy of the core: the published one, or one with planted faults.

/// Defines `$name`, a [`Subject`](crate::subject::Subject) around the `Machine` of the crate or module `$core`.
///
/// A macro, not a function, because each copy of the core has types of its own.
#[macro_export]
macro_rules! core_subject {
    ($(#[$meta:meta])* $name:ident, $($core:tt)+) => {
        use $($core)+ as tr;

        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name {
            machine: tr::Machine,
        }

        impl $crate::subject::Subject for $name {
            fn start(settings: &$crate::subject::Settings, seed: u64, now: u64) -> Self {
                let machine = tr::Machine::new(into::config(settings), seed, into::instant(now));
                Self { machine: machine.unwrap_or_else(|error| panic!("unusable settings: {error}")) }
            }

            fn call(
                &mut self,
                input: &$crate::vocabulary::Input,
                now: u64,
            ) -> $crate::vocabulary::Reply {
                use $crate::vocabulary::{Answer, Input};

                let now = into::instant(now);
                let machine = &mut self.machine;
                let answer = match input {
                    Input::Acquire => from::acquire(machine.acquire(now)),
                    Input::Reject(id) => from::acquire(machine.reject(into::token_id(*id), now)),
                    Input::Accept(id) => {
                        machine.accept(into::token_id(*id), now);
                        Answer::None
                    }
                    Input::Cancel(waiter) => Answer::Cancelled(machine.cancel(tr::WaiterId(*waiter))),
                    Input::SignIn(grant) => {
                        machine.sign_in(into::grant(grant), now);
                        Answer::None
                    }
                    Input::SignOut => {
                        machine.sign_out(now);
                        Answer::None
                    }
                    Input::Reset => {
                        machine.reset(now);
                        Answer::None
                    }
                    Input::Event(event) => match machine.handle_event(into::event(event), now) {
                        Ok(()) => Answer::None,
                        Err(_) => Answer::Misuse,
                    },
                    Input::Timeout => {
                        machine.handle_timeout(now);
                        Answer::None
                    }
                };
                let outputs = std::iter::from_fn(|| machine.poll_action()).map(from::action).collect();
                $crate::vocabulary::Reply {
                    answer,
                    outputs,
                    state: from::state(machine.state()),
                    timeout: machine.poll_timeout().map(tr::Timestamp::as_millis),
                    settled: machine.is_settled(),
                }
            }
        }

        mod into {
            //! From the kit's types to the core's.

            use std::time::Duration;

            use super::tr;
            use $crate::{subject, vocabulary as kit};

            pub(super) fn config(settings: &subject::Settings) -> tr::Config {
                let mut config = tr::Config::default();
                config.persistence =
                    if settings.shared { tr::Persistence::Shared } else { tr::Persistence::Memory };
                config.renewal =
                    if settings.ambient { tr::Renewal::Ambient } else { tr::Renewal::RefreshToken };
                config.ambiguous = match settings.policy {
                    subject::Policy::NonRotating => tr::AmbiguousPolicy::NonRotating,
                    subject::Policy::Once { window, last_resort } => {
                        tr::AmbiguousPolicy::Once { window: span(window), last_resort }
                    }
                    subject::Policy::UntilUsed => tr::AmbiguousPolicy::UntilUsed,
                    subject::Policy::Never { last_resort } => tr::AmbiguousPolicy::Never { last_resort },
                };
                config.max_waiters = settings.max_waiters;
                config.soft_margin = margin(settings.soft_margin);
                config.hard_margin = margin(settings.hard_margin);
                config.jitter = margin(settings.jitter);
                config.exchange_limit = span(settings.exchange_limit);
                config.save_limit = span(settings.save_limit);
                config.send_limit = span(settings.send_limit);
                config.skew = span(settings.skew);
                config.backoff =
                    tr::Backoff { base: span(settings.backoff_base), cap: span(settings.backoff_cap) };
                config.max_retry_after = span(settings.max_retry_after);
                config.rate = tr::Rate {
                    starts: u32::try_from(settings.rate_starts).unwrap_or(u32::MAX),
                    window: span(settings.rate_window),
                };
                config.breaker = u32::try_from(settings.breaker).unwrap_or(u32::MAX);
                config.cool_down = span(settings.cool_down);
                config
            }

            fn margin(margin: subject::Margin) -> tr::Margin {
                tr::Margin {
                    at_most: span(margin.at_most),
                    percent: u8::try_from(margin.percent).unwrap_or(u8::MAX),
                }
            }

            fn span(millis: u64) -> Duration {
                Duration::from_millis(millis)
            }

            pub(super) fn instant(millis: u64) -> tr::Timestamp {
                tr::Timestamp::from_millis(millis)
            }

            pub(super) fn token_id(id: kit::TokenId) -> tr::TokenId {
                tr::TokenId { epoch: tr::Epoch(id.epoch), generation: tr::Generation(id.generation) }
            }

            pub(super) fn grant(grant: &kit::Grant) -> tr::Grant {
                let mut made = tr::Grant::new(grant.access_token.as_str());
                if let Some(refresh) = &grant.refresh_token {
                    made = made.and_then(|made| made.with_refresh_token(refresh.as_str()));
                }
                let made = made.unwrap_or_else(|error| panic!("the kit mints only good tokens: {error}"));
                match grant.lifetime {
                    Some(lifetime) => made.with_lifetime(span(lifetime)),
                    None => made,
                }
            }

            pub(super) fn event(event: &kit::Event) -> tr::Event {
                match event {
                    kit::Event::Loaded { ticket, result } => tr::Event::Loaded {
                        ticket: tr::Ticket(*ticket),
                        result: match result {
                            Some((version, found)) => Ok(tr::Stored {
                                version: tr::Version(*version),
                                record: found.as_ref().map(record),
                            }),
                            None => Err(tr::StoreError),
                        },
                    },
                    kit::Event::Committed { ticket, result } => tr::Event::Committed {
                        ticket: tr::Ticket(*ticket),
                        result: match result {
                            Ok(version) => Ok(tr::Version(*version)),
                            Err(kit::CommitError::Conflict) => Err(tr::CommitError::Conflict),
                            Err(kit::CommitError::Unavailable) => Err(tr::CommitError::Unavailable),
                        },
                    },
                    kit::Event::Exchanged { ticket, sent_at, result } => tr::Event::Exchanged {
                        ticket: tr::Ticket(*ticket),
                        sent_at: instant(*sent_at),
                        result: result.as_ref().map(grant).map_err(|error| exchange_error(*error)),
                    },
                    kit::Event::Abandoned { ticket } => tr::Event::Abandoned { ticket: tr::Ticket(*ticket) },
                }
            }

            fn exchange_error(error: kit::ExchangeError) -> tr::ExchangeError {
                match error {
                    kit::ExchangeError::NotSent => tr::ExchangeError::NotSent,
                    kit::ExchangeError::Ambiguous(after) => {
                        tr::ExchangeError::Ambiguous { retry_after: after.map(span) }
                    }
                    kit::ExchangeError::Transient(after) => {
                        tr::ExchangeError::Transient { retry_after: after.map(span) }
                    }
                    kit::ExchangeError::Unexplained => tr::ExchangeError::Unexplained,
                    kit::ExchangeError::Permanent => tr::ExchangeError::Permanent,
                    kit::ExchangeError::Interaction => tr::ExchangeError::Interaction,
                    kit::ExchangeError::Misconfigured => tr::ExchangeError::Misconfigured,
                    kit::ExchangeError::InvalidRequest => tr::ExchangeError::InvalidRequest,
                    kit::ExchangeError::InvalidScope => tr::ExchangeError::InvalidScope,
                }
            }

            fn record(record: &kit::Record) -> tr::Record {
                tr::Record {
                    session: tr::SessionId(record.session),
                    serial: record.serial,
                    born: record.born,
                    contested: record.contested,
                    body: match &record.body {
                        kit::Body::Grant { grant: stored, obtained_at } => {
                            tr::Body::Grant { grant: grant(stored), obtained_at: instant(*obtained_at) }
                        }
                        kit::Body::Vacant => tr::Body::Vacant,
                        kit::Body::SignedOut => tr::Body::SignedOut,
                    },
                    refused: record.refused,
                    presented: record.presented,
                    first_at: instant(record.first_at),
                    holder: record.holder.map(|holder| tr::Holder {
                        claimant: tr::Claimant(holder.claimant),
                        term: span(holder.term),
                    }),
                }
            }
        }

        mod from {
            //! From the core's types to the kit's.

            use std::time::Duration;

            use super::tr;
            use $crate::vocabulary as kit;

            fn span(span: Duration) -> u64 {
                u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
            }

            pub(super) fn acquire(answer: tr::Acquire) -> kit::Answer {
                match answer {
                    tr::Acquire::Ready(token) => kit::Answer::Ready(snapshot(&token)),
                    tr::Acquire::Wait(waiter) => kit::Answer::Wait(waiter.0),
                    tr::Acquire::Failed(why) => kit::Answer::Failed(failure(why)),
                }
            }

            pub(super) fn state(state: tr::State) -> kit::State {
                match state {
                    tr::State::Idle => kit::State::Idle,
                    tr::State::Refreshing => kit::State::Refreshing,
                    tr::State::Failed(why) => kit::State::Failed(failure(why)),
                }
            }

            pub(super) fn action(action: tr::Action) -> kit::Output {
                match action {
                    tr::Action::Publish(token) => {
                        kit::Output::Publish(token.as_ref().map(|token| snapshot(token)))
                    }
                    tr::Action::Resolve { waiter, outcome } => kit::Output::Resolve {
                        waiter: waiter.0,
                        outcome: match outcome {
                            Ok(token) => Ok(snapshot(&token)),
                            Err(why) => Err(failure(why)),
                        },
                    },
                    tr::Action::Notify(notice) => kit::Output::Notify(match notice {
                        tr::Notice::SaveDelayed => kit::Notice::SaveDelayed,
                        tr::Notice::SessionLost { .. } => kit::Notice::SessionLost,
                        tr::Notice::Superseded => kit::Notice::Superseded,
                        tr::Notice::TakenOver => kit::Notice::TakenOver,
                        _ => kit::Notice::Other,
                    }),
                    tr::Action::Run(work) => kit::Output::Run(effect(work)),
                }
            }

            fn effect(effect: tr::Effect) -> kit::Effect {
                match effect {
                    tr::Effect::Load { ticket, not_before } => {
                        kit::Effect::Load { ticket: ticket.0, not_before: not_before.as_millis() }
                    }
                    tr::Effect::Commit { ticket, expected, record: new } => kit::Effect::Commit {
                        ticket: ticket.0,
                        expected: expected.0,
                        record: record(&new),
                    },
                    tr::Effect::Exchange { ticket, refresh, send_by, limit, scope } => kit::Effect::Exchange {
                        ticket: ticket.0,
                        refresh: refresh.map(|secret| secret.expose().to_owned()),
                        send_by: send_by.as_millis(),
                        limit: span(limit),
                        without_scope: scope == tr::Scope::Granted,
                    },
                    tr::Effect::Revoke { refresh } => {
                        kit::Effect::Revoke { refresh: refresh.expose().to_owned() }
                    }
                }
            }

            fn snapshot(token: &tr::Snapshot) -> kit::Snapshot {
                kit::Snapshot {
                    id: kit::TokenId { epoch: token.id.epoch.0, generation: token.id.generation.0 },
                    access_token: token.access_token.expose().to_owned(),
                    soft_end: token.soft_end.map(tr::Timestamp::as_millis),
                    hard_end: token.hard_end.map(tr::Timestamp::as_millis),
                }
            }

            fn failure(failure: tr::Failure) -> kit::Failure {
                kit::Failure {
                    kind: kind(failure.kind),
                    retry: match failure.retry {
                        tr::Retry::Never => kit::Retry::Never,
                        tr::Retry::At(instant) => kit::Retry::At(instant.as_millis()),
                    },
                }
            }

            #[allow(unreachable_patterns, reason = "not in a copy of the core inside the same crate")]
            fn kind(kind: tr::FailureKind) -> kit::FailureKind {
                match kind {
                    tr::FailureKind::NoCredentials => kit::FailureKind::NoCredentials,
                    tr::FailureKind::SignedOut => kit::FailureKind::SignedOut,
                    tr::FailureKind::SessionEnded => kit::FailureKind::SessionEnded,
                    tr::FailureKind::NoRefreshToken => kit::FailureKind::NoRefreshToken,
                    tr::FailureKind::Refused => kit::FailureKind::Refused,
                    tr::FailureKind::RefusedAfterAmbiguity => kit::FailureKind::RefusedAfterAmbiguity,
                    tr::FailureKind::Interaction => kit::FailureKind::Interaction,
                    tr::FailureKind::Misconfigured => kit::FailureKind::Misconfigured,
                    tr::FailureKind::Transient => kit::FailureKind::Transient,
                    tr::FailureKind::StoreUnavailable => kit::FailureKind::StoreUnavailable,
                    tr::FailureKind::RateLimited => kit::FailureKind::RateLimited,
                    tr::FailureKind::Uncertain => kit::FailureKind::Uncertain,
                    tr::FailureKind::RefusedAfterRefresh => kit::FailureKind::RefusedAfterRefresh,
                    tr::FailureKind::QueueFull => kit::FailureKind::QueueFull,
                    unknown => panic!("the kit does not know the failure kind {unknown:?}"),
                }
            }

            fn record(record: &tr::Record) -> kit::Record {
                kit::Record {
                    session: record.session.0,
                    serial: record.serial,
                    born: record.born,
                    contested: record.contested,
                    body: match &record.body {
                        tr::Body::Grant { grant, obtained_at } => kit::Body::Grant {
                            grant: kit::Grant {
                                access_token: grant.access_token().expose().to_owned(),
                                refresh_token: grant.refresh_token().map(|secret| secret.expose().to_owned()),
                                lifetime: grant.lifetime().map(span),
                            },
                            obtained_at: obtained_at.as_millis(),
                        },
                        tr::Body::Vacant => kit::Body::Vacant,
                        tr::Body::SignedOut => kit::Body::SignedOut,
                    },
                    refused: record.refused,
                    presented: record.presented,
                    first_at: record.first_at.as_millis(),
                    holder: record.holder.map(|holder| kit::Holder {
                        claimant: holder.claimant.0,
                        term: span(holder.term),
                    }),
                }
            }
        }
    };
}

mod published {
    core_subject!(
        /// The core of this workspace.
        CoreSubject,
        token_refresh_core
    );
}

pub use published::CoreSubject;
