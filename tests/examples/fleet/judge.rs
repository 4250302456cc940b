//! Was every refresh token presented once? If not: could anybody have known better?
//!
//! A refresh token may be presented again only if the outcome of the presentation before is unknown to everybody who is
//! there (I-02, I-23). The client's word for it does not count here, only what the parent did to the processes:
//!
//! | reason | what must have happened |
//! | --- | --- |
//! | the sender was killed | before it had had the time to save the answer, and its term was over |
//! | the sender was held up | stopped, or without a processor, for so long that it lost the answer or its claim |
//! | the second request is the older one | its sender stood still between its last look at the clock and the first byte |
//! | the sender could not save | it said so, and another worker was stopped, perhaps with the lock of the file |
//!
//! None of these counts once another process has used the successor: then it was saved, and everybody could know.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    process,
    time::Duration,
};

use token_refresh_conformance::server::{Seen, Tag, TokenKind, Verdict};
use token_refresh_driver::{AmbiguousPolicy, Config};

use crate::evidence::{Fate, Known, Pause};

/// A refresh token that reached the authorization server.
#[derive(Clone, Copy)]
pub(crate) struct Presentation {
    pub(crate) token: Tag,
    pub(crate) at: Duration,
    pub(crate) pid: u32,
    pub(crate) verdict: Verdict,
}

/// One refresh token, presented more than once.
pub(crate) struct Again {
    pub(crate) presentations: Vec<Presentation>,
    /// For each presentation but the first, why it was inevitable; `None`: it was not.
    pub(crate) reasons: Vec<Option<String>>,
}

/// A session that ended without a sign-out.
pub(crate) struct Loss {
    pub(crate) family: u32,
    pub(crate) revoked: bool,
    pub(crate) reason: Option<String>,
}

pub(crate) struct Judge<'a> {
    config: &'a Config,
    known: &'a Known,
    presentations: Vec<Presentation>,
    /// Who used an access token when for the first time: by family and generation.
    uses: BTreeMap<(u32, u32), BTreeMap<u32, Duration>>,
}

/// What a busy machine may add to anything.
const SLACK: Duration = Duration::from_millis(500);

impl<'a> Judge<'a> {
    pub(crate) fn new(config: &'a Config, known: &'a Known, auth: &[Seen], api: &[Seen]) -> Self {
        let presentations = auth.iter().filter_map(Presentation::of).collect();
        let mut uses = BTreeMap::<_, BTreeMap<_, _>>::new();
        for seen in api {
            let (Some(tag), Some(pid)) = (seen.carried, sender(seen)) else { continue };
            if let Entry::Vacant(first) = uses.entry((tag.family, tag.generation)).or_default().entry(pid) {
                first.insert(seen.at);
            }
        }
        Self { config, known, presentations, uses }
    }

    pub(crate) fn granted(&self) -> usize {
        let granted = |one: &&Presentation| matches!(one.verdict, Verdict::Granted(_));
        self.presentations.iter().filter(granted).count()
    }

    /// All refresh tokens that were presented more than once.
    pub(crate) fn presented_again(&self) -> Vec<Again> {
        let mut by_token = BTreeMap::<Tag, Vec<Presentation>>::new();
        for one in &self.presentations {
            by_token.entry(one.token).or_default().push(*one);
        }
        let again = by_token.into_values().filter(|presentations| presentations.len() > 1);
        again
            .map(|presentations| {
                let pairs = presentations.windows(2);
                let reasons = pairs.map(|pair| self.reason(&pair[0], &pair[1])).collect();
                Again { presentations, reasons }
            })
            .collect()
    }

    /// Why a session was lost that the parent replaced, or that was revoked.
    pub(crate) fn loss(&self, family: u32, again: &[Again]) -> Loss {
        // Whichever of the presentations was processed last has cost the family.
        match again.iter().find(|again| again.has_revoked(family)) {
            Some(Again { presentations, reasons }) => {
                let explained = reasons.iter().all(Option::is_some);
                let reason = explained.then(|| format!("{}, see above", presentations[0].token));
                Loss { family, revoked: true, reason }
            }
            None => Loss { family, revoked: false, reason: self.uncertain(family) },
        }
    }

    fn reason(&self, before: &Presentation, again: &Presentation) -> Option<String> {
        if self.config.ambiguous == (AmbiguousPolicy::Never { last_resort: false }) {
            return None;
        }
        self.overtaken(before, again).or_else(|| {
            if self.was_shared(before, again) {
                return None;
            }
            self.was_killed(before, again.at)
                .filter(|_| self.waited(before, again))
                .or_else(|| self.was_held_up(before, again.at))
                .or_else(|| self.could_not_save(before, again))
        })
    }

    /// Without a replay a session is lost only if the fate of its newest refresh token is unknown, and the policy
    /// forbids to ask the server.
    fn uncertain(&self, family: u32) -> Option<String> {
        let last = self.presentations.iter().rfind(|one| one.token.family == family)?;
        self.was_killed(last, Duration::MAX).or_else(|| self.was_held_up(last, Duration::MAX)).or_else(|| {
            // Its successor was claimed and never sent.
            let granted = matches!(last.verdict, Verdict::Granted(_) | Verdict::Repeated(_));
            let kill = self.known.fates.iter().find(|(_, fate)| {
                let paused = fate.paused(last.at, Duration::MAX) >= self.long();
                paused || fate.killed.is_some_and(|killed| killed >= last.at)
            });
            let (pid, _) = kill.filter(|_| granted)?;
            Some(format!(
                "worker {pid} was killed or stopped, perhaps with the claim on the next refresh token"
            ))
        })
    }

    /// So long that an answer or a claim may be lost.
    fn long(&self) -> Duration {
        self.config.exchange_limit / 2
    }

    /// It died before it had had the time to save the answer.
    fn was_killed(&self, sender: &Presentation, until: Duration) -> Option<String> {
        let fate = self.fate(sender.pid)?;
        let killed = fate.killed.filter(|killed| *killed <= until)?;
        let enough = self.config.exchange_limit + self.config.save_limit + SLACK;
        let unsaved = fate.unsaved.iter().find(|at| (sender.at..=killed).contains(at));
        let ran = fate.ran(sender.at, killed);
        if ran > enough && unsaved.is_none() {
            return None;
        }
        let unsaved = if unsaved.is_some() { ", and had not been able to save before" } else { "" };
        let (pid, ran, killed) = (sender.pid, seconds(ran), seconds(killed));
        Some(format!("worker {pid} was killed at {killed}, having run for {ran} since{unsaved}"))
    }

    fn was_held_up(&self, sender: &Presentation, until: Duration) -> Option<String> {
        let from = sender.at.saturating_sub(self.config.send_limit);
        let held_up = |pid| Some(self.fate(pid)?.paused(from, until)).filter(|span| *span >= self.long());
        if let Some(span) = held_up(sender.pid) {
            let stopped = |pause: &Pause| pause.stopped && pause.to > from && pause.from < until;
            let stopped = self.fate(sender.pid)?.pauses.iter().any(stopped);
            let how = if stopped { "stopped" } else { "without a processor" };
            return Some(format!("worker {} was {how} for {}", sender.pid, seconds(span)));
        }
        let span = held_up(process::id())?;
        Some(format!("the machine was so busy that the servers stood still for {}", seconds(span)))
    }

    /// The one that comes second was to be sent first.
    fn overtaken(&self, before: &Presentation, again: &Presentation) -> Option<String> {
        let pauses = &self.fate(again.pid)?.pauses;
        let pause = pauses.iter().find(|pause| {
            pause.from < before.at
                && pause.to <= again.at + SLACK
                && again.at < pause.to + SLACK
                && pause.to.saturating_sub(pause.from) > self.least_wait()
        })?;
        let (pid, from) = (again.pid, seconds(pause.from));
        Some(format!("worker {pid} was stopped at {from} with the request already on its way out"))
    }

    fn could_not_save(&self, before: &Presentation, again: &Presentation) -> Option<String> {
        let said = self.fate(before.pid)?.unsaved.iter().find(|at| (before.at..=again.at).contains(at))?;
        let during = |pause: &Pause| pause.stopped && pause.from <= *said && *said <= pause.to;
        let (pid, _) = self.known.fates.iter().find(|(_, fate)| fate.pauses.iter().any(during))?;
        Some(format!("worker {} could not save, while worker {pid} was stopped in a commit", before.pid))
    }

    /// Whether the term of the claim was over: a dead sender cannot have given it back.
    fn waited(&self, before: &Presentation, again: &Presentation) -> bool {
        again.at.saturating_sub(before.at) > self.least_wait()
    }

    /// For how long a claim is watched at least, counted from the first byte.
    fn least_wait(&self) -> Duration {
        self.config.term().saturating_sub(self.config.send_limit + SLACK)
    }

    /// Whether the answer was saved for all to see before.
    fn was_shared(&self, before: &Presentation, again: &Presentation) -> bool {
        let (Verdict::Granted(successor) | Verdict::Repeated(successor)) = before.verdict else {
            return false;
        };
        let Some(users) = self.uses.get(&(successor.family, successor.generation)) else { return false };
        let presented =
            |pid| self.presentations.iter().any(|one| one.token == before.token && one.pid == pid);
        users.iter().any(|(pid, at)| *at < again.at && !presented(*pid))
    }

    fn fate(&self, pid: u32) -> Option<&Fate> {
        self.known.fates.get(&pid)
    }
}

impl Again {
    fn has_revoked(&self, family: u32) -> bool {
        self.presentations.iter().any(|one| {
            matches!(one.verdict, Verdict::Replayed { spent, family_revoked: true } if spent.family == family)
        })
    }
}

impl Presentation {
    fn of(seen: &Seen) -> Option<Self> {
        let token = seen.carried.filter(|tag| tag.kind == TokenKind::Refresh && seen.target == "/token")?;
        Some(Self { token, at: seen.at, pid: sender(seen)?, verdict: seen.verdict })
    }
}

/// Workers write their process id into every request.
pub(crate) fn sender(seen: &Seen) -> Option<u32> {
    seen.headers.get("user-agent")?.strip_prefix("fleet/")?.parse().ok()
}

pub(crate) fn seconds(span: Duration) -> String {
    format!("{:.3} s", span.as_secs_f64())
}
