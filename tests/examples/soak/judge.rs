//! What the servers saw, and what callers were told: is it as it must be?
//!
//! Logs and reports are taken out as they come, so that a long run needs no more memory than a short one, and judged a
//! little later, when whatever they depend on has come too.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use token_refresh_conformance::server::{
    AuthorizationServer, End, ResourceServer, Seen, Tag, TokenKind, Verdict,
};

use crate::{
    callers::{Call, HANG, Outcome},
    lane::{EXCHANGE_LIMIT, WINDOW},
    stalls::Stalls,
    summary::Tally,
};

/// How a request ended may be corrected for so long.
const QUIET: Duration = Duration::from_millis(500);
/// How much later an exchange, a call or a loss is judged.
const LAG: Duration = Duration::from_secs(3);
/// What a busy machine may add to the way of a request.
const SLACK: Duration = Duration::from_millis(500);

pub(crate) struct Judge {
    pub(crate) tally: Tally,
    start: Instant,
    stalls: Stalls,
    calls: Receiver<Call>,
    waiting_calls: VecDeque<Call>,
    waiting_exchanges: VecDeque<Seen>,
    waiting_losses: VecDeque<(Instant, u32)>,
    sign_ins: Vec<(Instant, u32)>,
    /// The attempts of each call.
    attempts: BTreeMap<u64, Vec<Attempt>>,
    /// When the API first refused an access token.
    refused: BTreeMap<Tag, Instant>,
    /// When a session was told so, at the latest.
    known: BTreeMap<(usize, Tag), Instant>,
    /// The refresh tokens that were presented, in families.
    presented: BTreeMap<u32, BTreeMap<u32, Vec<(Instant, Fate)>>>,
}

struct Attempt {
    token: Option<Tag>,
    at: Instant,
    /// When it was refused.
    refused: Option<Instant>,
}

/// What is known of a refresh token that was presented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was not looked at.
    Free,
    /// There is no answer, or a late one.
    Unknown,
    /// It is spent, or it is dead.
    Known,
}

impl Judge {
    pub(crate) fn new(start: Instant, calls: Receiver<Call>, stalls: Stalls) -> Self {
        Self {
            tally: Tally::default(),
            start,
            stalls,
            calls,
            waiting_calls: VecDeque::new(),
            waiting_exchanges: VecDeque::new(),
            waiting_losses: VecDeque::new(),
            sign_ins: Vec::new(),
            attempts: BTreeMap::new(),
            refused: BTreeMap::new(),
            known: BTreeMap::new(),
            presented: BTreeMap::new(),
        }
    }

    pub(crate) fn signed_in(&mut self, family: u32) {
        self.sign_ins.push((Instant::now(), family));
    }

    pub(crate) fn lost(&mut self, family: u32) {
        self.waiting_losses.push_back((Instant::now(), family));
    }

    /// Takes what has come, and judges what is old enough.
    pub(crate) fn look(&mut self, auth: &AuthorizationServer, api: &ResourceServer) {
        let due = Instant::now().checked_sub(LAG).unwrap_or(self.start);
        self.take(auth, api, QUIET, due);
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self, auth: &AuthorizationServer, api: &ResourceServer) {
        self.take(auth, api, Duration::ZERO, Instant::now() + LAG);
    }

    /// Whoever called between these instants had to be served.
    pub(crate) fn demands_service(&mut self, from: Instant, to: Instant) {
        self.tally.served_all = Some((from, to));
    }

    fn take(&mut self, auth: &AuthorizationServer, api: &ResourceServer, quiet: Duration, due: Instant) {
        // The reports first: what a caller knows, the API has seen before.
        self.waiting_calls.extend(self.calls.try_iter());
        for seen in api.take_log(quiet) {
            self.attempt(&seen);
        }
        self.waiting_exchanges.extend(auth.take_log(quiet));
        let start = self.start;
        while let Some(seen) = next_if(&mut self.waiting_exchanges, |seen| start + seen.at <= due) {
            self.exchange(&seen);
        }
        while let Some(call) = next_if(&mut self.waiting_calls, |call| call.end <= due) {
            self.call(&call);
        }
        while let Some((at, family)) = next_if(&mut self.waiting_losses, |(at, _)| *at <= due) {
            self.loss(at, family);
        }
    }

    fn attempt(&mut self, seen: &Seen) {
        let token = seen.carried;
        let ended = self.start + seen.ended_at.unwrap_or(seen.at);
        let refused = matches!(seen.verdict, Verdict::Expired(_) | Verdict::Dead(_)).then_some(ended);
        if let (Some(token), Some(at)) = (token, refused) {
            let first = self.refused.entry(token).or_insert(at);
            *first = at.min(*first);
        }
        let id = seen.target.rsplit('/').next().and_then(|id| id.parse().ok());
        if let Some(id) = id {
            let at = self.start + seen.at;
            // Only what arrived whole was certainly read.
            let refused = refused.filter(|_| seen.end == End::Answered(401));
            self.attempts.entry(id).or_default().push(Attempt { token, at, refused });
        }
    }

    fn exchange(&mut self, seen: &Seen) {
        self.tally.exchanges += 1;
        let at = self.start + seen.at;
        let Some((family, generation)) = self.presents(seen) else { return };
        let name = format!("rt-{family}-{generation}");
        let fate = fate(seen);
        let before = self.presented.entry(family).or_default().entry(generation).or_default();
        let wrong = again(before, at);
        let since = before.first().map_or(at, |(at, _)| *at);
        before.push((at, fate));
        self.tally.again += u64::from(before.iter().filter(|(_, fate)| *fate != Fate::Free).count() == 2);
        if let Some(wrong) = wrong {
            self.violation(since, at, format!("{name} was presented again {wrong}"));
        }
        match seen.verdict {
            Verdict::Granted(tag) => {
                self.tally.granted += 1;
                let replaced = Tag { kind: TokenKind::Access, generation, ..tag };
                if self.refused.get(&replaced).is_none_or(|refused| *refused > at) {
                    self.tally.violation(format!("{replaced} was replaced, and nobody had refused it"));
                }
            }
            Verdict::Replayed { spent, .. } => {
                self.violation(since, at, format!("{spent} was presented when it could only do harm"));
            }
            _ => {}
        }
    }

    /// The refresh token of an exchange: family and generation. One that was not read is the one that is in force.
    fn presents(&self, seen: &Seen) -> Option<(u32, u32)> {
        if let Some(tag) = seen.carried {
            return Some((tag.family, tag.generation));
        }
        let at = self.start + seen.at;
        let (_, family) = self.sign_ins.iter().rfind(|(since, _)| *since <= at)?;
        let last = self.presented.get(family).and_then(|tokens| tokens.last_key_value());
        let generation = last.map_or(0, |(generation, presented)| {
            let is_spent = presented.iter().any(|(_, fate)| *fate == Fate::Known);
            if is_spent { generation + 1 } else { *generation }
        });
        Some((*family, generation))
    }

    fn call(&mut self, call: &Call) {
        let attempts = self.attempts.remove(&call.id).unwrap_or_default();
        self.tally.called(&call.outcome, call.begin);
        if matches!(call.outcome, Outcome::Hangs) {
            let what = format!("a caller has no answer after {} s", HANG.as_secs());
            self.violation(call.begin, call.end, what);
        }
        for (number, attempt) in attempts.iter().enumerate() {
            let Some(token) = attempt.token else { continue };
            let known = self.known.get(&(call.session, token));
            if known.is_some_and(|known| *known < call.begin) {
                self.tally
                    .violation(format!("{token} was sent, though its session knew that it was refused"));
            }
            let Some(refused) = attempt.refused else { continue };
            let next = attempts.get(number + 1);
            if let Some(next) = next {
                self.tally.waited(next.at.saturating_duration_since(refused));
            }
            if next.is_some() || matches!(call.outcome, Outcome::NoToken(_)) {
                let known = self.known.entry((call.session, token)).or_insert(call.end);
                *known = call.end.min(*known);
            }
        }
    }

    /// A session may be lost only if nobody knows what became of its refresh token.
    fn loss(&mut self, at: Instant, family: u32) {
        self.tally.losses += 1;
        let last = self.presented.get(&family).and_then(|tokens| tokens.last_key_value());
        let unknown = last
            .is_some_and(|(_, presented)| presented.last().is_some_and(|(_, fate)| *fate == Fate::Unknown));
        if !unknown {
            let since = last.and_then(|(_, presented)| presented.first()).map_or(self.start, |(at, _)| *at);
            self.violation(since, at, format!("session {family} was lost without cause"));
        }
    }

    /// Unless the machine stood still meanwhile.
    fn violation(&mut self, from: Instant, to: Instant, what: String) {
        if self.stalls.any(from, to) { self.tally.excused += 1 } else { self.tally.violation(what) }
    }
}

fn next_if<T>(queue: &mut VecDeque<T>, is_due: impl Fn(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(is_due) { queue.pop_front() } else { None }
}

/// What is wrong about presenting a refresh token again.
fn again(before: &[(Instant, Fate)], at: Instant) -> Option<&'static str> {
    let mut unknown = before.iter().filter(|(_, fate)| *fate == Fate::Unknown);
    match (unknown.next(), unknown.next()) {
        _ if before.iter().any(|(_, fate)| *fate == Fate::Known) => Some("though its answer was known"),
        (Some(_), Some(_)) => Some("though two answers are missing"),
        (Some((first, _)), None) if at + EXCHANGE_LIMIT > *first + WINDOW + SLACK => Some("too late"),
        _ => None,
    }
}

fn fate(seen: &Seen) -> Fate {
    let took = seen.ended_at.unwrap_or(Duration::MAX).saturating_sub(seen.at);
    match seen.end {
        End::Answered(429 | 503) => Fate::Free,
        End::Answered(200 | 400) if took < EXCHANGE_LIMIT / 2 => Fate::Known,
        _ => Fate::Unknown,
    }
}
