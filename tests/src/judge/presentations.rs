//! With which refresh token, and how often (Q1, I-02, I-03, I-12, I-15, RETRY-02).

use super::exchanges::Process;
use super::{Case, Court};
use crate::history::Fault;
use crate::subject::{Policy, Settings};
use crate::vocabulary::ExchangeError;

/// What is known of a refresh token that was presented.
#[derive(Clone, Default)]
pub(super) struct Presented {
    /// Presentations whose fate is not known.
    pub(super) ambiguous: u32,
    /// When the first of them was sent.
    pub(super) first: u64,
    /// Whether the last one may leave only inside the window.
    prompt: bool,
}

/// What allows a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// It is the first, or it can do no harm.
    Free,
    /// It is over inside the server's window.
    Prompt,
    /// Nothing is left to lose.
    LastResort,
}

impl Process {
    pub(super) fn present(&mut self, case: &Case, refresh: &str, nothing_left: bool, court: &mut Court) {
        let settings = &case.history.settings;
        court.must(!self.stopped.iter().any(|stopped| stopped == refresh), "I-12", || {
            format!("{refresh} was refused to this process, and is presented")
        });
        let disordered = case.history.may_be_disordered();
        if let Some(token) = case.history.authority.refresh_token(refresh) {
            let highest = self.ranks.get(&token.family).copied().unwrap_or_default();
            court.must(token.rank >= highest || disordered, "I-03", || {
                format!("{refresh} is presented, though this process holds its successor")
            });
        }
        let presented = self.presented.entry(refresh.to_owned()).or_default();
        if !settings.shared {
            court.must(self.refresh.as_deref() == Some(refresh) || disordered, "I-15", || {
                format!("{refresh} is presented, but {:?} is in force", self.refresh)
            });
            let may =
                permits(settings, presented.ambiguous + 1, case.view.now, presented.first, nothing_left);
            court.must(may.is_some(), "I-02", || {
                format!("{refresh} is presented again; {} attempts have an unknown fate", presented.ambiguous)
            });
            presented.prompt = may == Some(Permit::Prompt);
        }
        if presented.ambiguous == 0 {
            presented.first = case.view.now;
        }
        presented.ambiguous += 1;
    }
}

/// Whether the policy lets a refresh token be presented for the `n`-th time (Q1, I-02).
pub(super) fn permits(
    settings: &Settings,
    n: u32,
    now: u64,
    first: u64,
    nothing_left: bool,
) -> Option<Permit> {
    let (window, last_resort) = match settings.policy {
        Policy::NonRotating => return Some(Permit::Free),
        Policy::UntilUsed => (Some(u64::MAX), true),
        Policy::Once { window, last_resort } => (Some(window), last_resort),
        Policy::Never { last_resort } => (None, last_resort),
    };
    let prompt = window.is_some_and(|window| now + settings.exchange_limit <= first.saturating_add(window));
    match n {
        0 | 1 => Some(Permit::Free),
        _ if last_resort && nothing_left => Some(Permit::LastResort),
        2 if prompt => Some(Permit::Prompt),
        _ => None,
    }
}

/// A presentation that was allowed because of the window was sent inside it.
pub(super) fn in_window(
    case: &Case,
    presented: &Presented,
    sent_at: u64,
    error: Option<&ExchangeError>,
    court: &mut Court,
) {
    let settings = &case.history.settings;
    let Policy::Once { window, .. } = settings.policy else { return };
    if presented.prompt
        && error != Some(&ExchangeError::NotSent)
        && !case.history.suffered(Fault::LateRequest)
    {
        let latest = presented.first + window - settings.exchange_limit;
        court.must(sent_at <= latest, "I-02", || {
            format!(
                "presented again at {sent_at}; to be over inside the window it had to be sent by {latest}"
            )
        });
    }
}
