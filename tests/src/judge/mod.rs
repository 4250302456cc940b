//! The judge: reads a history and says which rules it breaks.
//!
//! It knows what was asked of each machine, what the machine answered, and what the store and the server saw; never
//! what goes on inside. Its clocks, ends of tokens, delays and credits are computed here anew from the settings.
//! Each rule is named as in the catalogue (`I-02`, `CORE-08`) or by its number in the claim protocol (`rule 7`).

mod again;
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
mod rules;
mod shape;
mod store;
mod tokens;
mod view;

use std::collections::BTreeSet;

use crate::executor::run_on;
use crate::history::{Entry, History};
use crate::script::Script;
use crate::stage::{Local, Stage};
use crate::subject::Subject;

use view::View;

pub use rules::{RULES, level, statement};

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

/// What the judge found in a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// All rules that it breaks, in the order in which they were found.
    pub violations: Vec<Violation>,
    /// All rules that had something to say about it.
    pub examined: BTreeSet<&'static str>,
}

/// Runs a script with machines of this type, and says which rules it breaks.
pub fn verdict<S: Subject>(script: &Script) -> Vec<Violation> {
    hear(&mut Local::<S>::default(), script).1.violations
}

/// Runs a script with the machines of this stage, and judges it by all rules, those included that take two runs.
pub fn hear(stage: &mut dyn Stage, script: &Script) -> (History, Judgement) {
    let history = run_on(stage, script);
    let mut court = Court { at: 0, judgement: judge(&history) };
    for compare in [compare::same_again, compare::without_cancellations, compare::with_timers] {
        if court.judgement.violations.is_empty() {
            compare(stage, script, &history, &mut court);
        }
    }
    (history, court.judgement)
}

/// Judges a history by the rules that take one run.
pub fn judge(history: &History) -> Judgement {
    let mut court = Court::default();
    if let Some(collapse) = &history.collapse {
        // What was not done by then might still have been done: nothing else is to be held against it.
        court.at = history.entries.len();
        court.must(false, "I-25", || collapse.to_string());
        return court.judgement;
    }
    let mut views: Vec<View> = (0..history.world.processes.clamp(1, 3)).map(|_| View::default()).collect();
    let mut exchanges = exchanges::Exchanges::default();
    let mut again = again::Again::default();
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
        again.check(&case, &mut court);
        claims.check(&case, &mut court);
        reasons.check(&case, &mut court);
        view.end(index, entry, history);
    }
    store::check(history, &mut court);
    court.at = history.entries.len();
    end::check(history, &views, &mut court);
    court.judgement
}

/// One entry, and how its machine stood before it. The clock in the view is that of the entry.
struct Case<'a> {
    history: &'a History,
    entry: &'a Entry,
    view: &'a View,
}

/// Where the judge's findings are collected.
#[derive(Default)]
struct Court {
    at: usize,
    judgement: Judgement,
}

impl Court {
    fn must(&mut self, holds: bool, rule: &'static str, says: impl FnOnce() -> String) {
        self.judgement.examined.insert(rule);
        if !holds {
            self.judgement.violations.push(Violation { rule, at: self.at, says: says() });
        }
    }

    fn find(&mut self, rule: &'static str, violation: Option<Violation>) {
        self.judgement.examined.insert(rule);
        self.judgement.violations.extend(violation);
    }
}
