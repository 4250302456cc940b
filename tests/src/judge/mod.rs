//! The judge: reads a history and says which rules it breaks.
//!
//! It knows what was asked of each machine, what the machine answered, and what the store and the server saw; never
//! what goes on inside. Its clocks, ends of tokens, delays and credits are computed here anew from the settings.
//! Each rule is named as in the catalogue (`I-02`, `CORE-08`) or by its number in the claim protocol (`rule 7`).

mod breaker;
mod claims;
mod commits;
mod compare;
mod demands;
mod end;
mod exchanges;
mod orphans;
mod presentations;
mod reasons;
mod shape;
mod store;
mod tokens;
mod view;

use std::panic::catch_unwind;

use crate::executor::run;
use crate::history::{Entry, History};
use crate::script::Script;
use crate::subject::Subject;

use view::View;

/// A rule that a history breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// Index of the entry at which it is broken.
    pub at: usize,
    /// How.
    pub says: String,
}

/// Runs a script, and says which rules it breaks, those included that take two runs.
pub fn verdict<S: Subject>(script: &Script) -> Vec<Violation> {
    let Ok(history) = catch_unwind(|| run::<S>(script)) else {
        return vec![Violation { rule: "I-25", at: 0, says: "the machine panics".to_owned() }];
    };
    let mut violations = judge(&history);
    if violations.is_empty() {
        violations.extend(compare::same_again::<S>(script, &history));
        violations.extend(compare::without_cancellations::<S>(script, &history));
        violations.extend(compare::with_timers::<S>(script, &history));
    }
    violations
}

/// All rules that this history breaks, in the order in which they were found.
pub fn judge(history: &History) -> Vec<Violation> {
    let mut court = Court::default();
    let mut views: Vec<View> = (0..history.world.processes.clamp(1, 3)).map(|_| View::default()).collect();
    let mut exchanges = exchanges::Exchanges::default();
    let mut claims = claims::Claims::default();
    let mut reasons = reasons::Reasons::default();
    for (index, entry) in history.entries.iter().enumerate() {
        court.at = index;
        let Some(view) = views.get_mut(usize::from(entry.process)) else { continue };
        view.begin(entry);
        let case = Case { history, entry, view };
        if entry.input.is_some() {
            shape::check(&case, &mut court);
            tokens::check(&case, &mut court);
            demands::check(&case, &mut court);
        }
        exchanges.check(&case, &mut court);
        claims.check(&case, &mut court);
        reasons.check(&case, &mut court);
        view.end(index, entry, history);
    }
    court.at = history.entries.len();
    store::check(history, &mut court);
    end::check(history, &views, &mut court);
    court.violations
}

/// One entry, and how its machine stood before it. The clock in the view is that of the entry.
struct Case<'a> {
    history: &'a History,
    entry: &'a Entry,
    view: &'a View,
}

/// Where violations are collected.
#[derive(Default)]
struct Court {
    at: usize,
    violations: Vec<Violation>,
}

impl Court {
    fn must(&mut self, holds: bool, rule: &'static str, says: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { rule, at: self.at, says: says() });
        }
    }
}
