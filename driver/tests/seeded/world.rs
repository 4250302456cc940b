//! An authorization server and a store, as they are whatever happens on the way to them, and what may never happen.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use token_refresh_driver::{
    AmbiguousPolicy, CommitError, Error, Grant, Record, Stored, Timestamp, Token, TokenId, Version,
};

use crate::plan::{LIFETIME, WINDOW};

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) policy: AmbiguousPolicy,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// No faults any more.
    pub(crate) healthy: bool,
    /// The application has said that what was refused is to be tried again.
    pub(crate) reset: bool,
    /// How many calls of each kind there were.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) store: Store,
    pub(crate) grants: usize,
    /// The generation that each family is in.
    families: Vec<u32>,
    /// When a refresh token was spent.
    spent: BTreeMap<(usize, u32), Timestamp>,
    presented: BTreeMap<(usize, u32), Vec<Presentation>>,
    wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Presentation {
    /// Which of the sessions presents it.
    who: usize,
    at: Timestamp,
    known: Known,
}

/// What the session was told of a refresh token that it had presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    /// The server did not look at it.
    Untouched,
    /// It is spent.
    Spent,
    /// It is dead.
    Refused,
}

/// One presentation, to be told of what becomes of it.
#[derive(Clone, Copy)]
pub(crate) struct Presented {
    token: (usize, u32),
    number: usize,
}

impl World {
    pub(crate) fn new(seed: u64, policy: AmbiguousPolicy) -> Self {
        Self { seed, policy, state: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user signs in: a family of tokens begins.
    pub(crate) fn issue(&self) -> Grant {
        let mut state = self.state();
        state.families.push(0);
        let family = state.families.len() - 1;
        Grant::new(format!("at-{family}-0"))
            .and_then(|grant| grant.with_refresh_token(format!("rt-{family}-0")))
            .unwrap()
            .with_lifetime(LIFETIME)
    }

    /// The first byte of a token request leaves now.
    pub(crate) fn presents(&self, who: usize, form: &[u8], limit: Duration, now: Timestamp) -> Presented {
        let form = String::from_utf8(form.to_vec()).unwrap();
        let token = form.split('&').find_map(|field| field.strip_prefix("refresh_token=")).unwrap();
        let token = parse(token, "rt");
        let state = &mut *self.state();
        let before = state.presented.entry(token).or_default();
        if let Some(wrong) = self.objection(who, before, state.reset, limit, now) {
            state.wrong.push(format!("rt-{}-{} is presented {wrong}: {before:?}, {now:?}", token.0, token.1));
        }
        before.push(Presentation { who, at: now, known: Known::Nothing });
        Presented { token, number: before.len() - 1 }
    }

    /// Why it must not be presented now.
    fn objection(
        &self,
        who: usize,
        before: &[Presentation],
        reset: bool,
        limit: Duration,
        now: Timestamp,
    ) -> Option<&'static str> {
        // The other session may not have learnt it: the store may have been out of reach ever since.
        if before.iter().any(|one| one.known == Known::Spent && one.who == who) {
            return Some("though it is known to be spent");
        }
        if before.iter().any(|one| one.known == Known::Refused && one.who == who && !reset) {
            return Some("though it is known to be dead");
        }
        let mut unknown = before.iter().filter(|one| one.known == Known::Nothing);
        match (self.policy, unknown.next(), unknown.next()) {
            (AmbiguousPolicy::Never { last_resort: false }, Some(_), _)
            | (AmbiguousPolicy::Once { last_resort: false, .. }, Some(_), Some(_)) => Some("too often"),
            (AmbiguousPolicy::Once { last_resort: false, .. }, Some(first), None)
                if now.after(limit) > first.at.after(WINDOW) =>
            {
                Some("too late")
            }
            _ => None,
        }
    }

    /// The server acts on it: the new generation, or `None` if it is refused.
    pub(crate) fn exchange(&self, presented: Presented, now: Timestamp) -> Option<(String, String)> {
        let state = &mut *self.state();
        let (family, generation) = presented.token;
        let current = state.families[family];
        let rotates = self.policy != AmbiguousPolicy::NonRotating;
        let graced = || {
            let spent = state.spent.get(&presented.token);
            let again = matches!(self.policy, AmbiguousPolicy::Once { .. }) && generation + 1 == current;
            again && spent.is_some_and(|spent| now <= spent.after(WINDOW))
        };
        let next = match (rotates, generation == current) {
            (false, _) | (true, true) => current + 1,
            (true, false) if graced() => current,
            (true, false) => {
                // All tokens of the family are dead: no generation is the current one any more.
                state.families[family] = u32::MAX - 1;
                return None;
            }
        };
        if next > current {
            state.grants += 1;
            state.families[family] = next;
            state.spent.insert(presented.token, now);
        }
        let refresh = if rotates { next } else { generation };
        Some((format!("at-{family}-{next}"), format!("rt-{family}-{refresh}")))
    }

    /// The session is told what the server made of it.
    pub(crate) fn told(&self, presented: Presented, known: Known) {
        if known == Known::Spent && self.policy == AmbiguousPolicy::NonRotating {
            return;
        }
        if let Some(presentations) = self.state().presented.get_mut(&presented.token) {
            presentations[presented.number].known = known;
        }
    }

    /// A caller has its answer.
    pub(crate) fn answered(
        &self,
        refused: Option<&Token>,
        waited: Duration,
        limit: Duration,
        answer: &Result<Token, Error>,
    ) {
        let mut state = self.state();
        match (answer, refused) {
            (Ok(token), refused) => {
                let (family, generation) = parse(token.secret().expose(), "at");
                if state.families.get(family).is_none_or(|current| *current < generation) {
                    state.wrong.push(format!("at-{family}-{generation} was never issued"));
                }
                let Some(refused) = refused else { return };
                let (TokenId { epoch, generation }, before) = (token.id(), refused.id());
                let user = parse(refused.secret().expose(), "at").0;
                if epoch != before.epoch || generation <= before.generation || family != user {
                    state.wrong.push(format!(
                        "{before:?} of {user} was refused, and {:?} of {family} given",
                        token.id()
                    ));
                }
            }
            (Err(Error::TimedOut), _) if waited < limit => {
                state.wrong.push(format!("a caller is told after {waited:?} that {limit:?} are over"));
            }
            (Err(_), _) => {}
        }
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) {
        self.state().wrong.push(what.into());
    }

    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.healthy = true;
        state.store.land();
    }

    pub(crate) fn assert_nothing_wrong(&self) {
        let state = self.state();
        assert_eq!(state.wrong, [""; 0], "seed {}, {:?}", self.seed, self.policy);
    }

    /// The next number of this kind of call; `None` if nothing goes wrong any more.
    pub(crate) fn number(&self, kind: &'static str) -> Option<u64> {
        let mut state = self.state();
        let number = state.calls.entry(kind).or_default();
        *number += 1;
        let number = *number;
        (!state.healthy).then_some(number)
    }
}

/// A record, the one before it, and a commit that has not landed yet.
#[derive(Default)]
pub(crate) struct Store {
    stored: Stored,
    before: Stored,
    late: Option<(Version, Record)>,
}

impl Store {
    pub(crate) fn load(&self) -> Stored {
        self.stored.clone()
    }

    pub(crate) fn stale(&self) -> Stored {
        self.before.clone()
    }

    pub(crate) fn commit(&mut self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        if self.stored.version != expected {
            return Err(CommitError::Conflict);
        }
        let written = Stored { version: Version(expected.0 + 1), record: Some(record.clone()) };
        self.before = std::mem::replace(&mut self.stored, written);
        Ok(self.stored.version)
    }

    /// Will be written when [`land`](Self::land) is called.
    pub(crate) fn delay(&mut self, expected: Version, record: &Record) {
        self.land();
        self.late = Some((expected, record.clone()));
    }

    pub(crate) fn land(&mut self) {
        if let Some((expected, record)) = self.late.take() {
            // If it does not fit any more, it was never written.
            let _ = self.commit(expected, &record);
        }
    }
}

/// Family and generation.
fn parse(token: &str, kind: &str) -> (usize, u32) {
    let mut parts = token.split('-');
    assert_eq!(parts.next(), Some(kind), "{token}");
    (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap())
}
