//! The checks of a report, requirement by requirement.

use super::{Check, Level, Report, Verdict};
use crate::catalogue::{self, Entry};

/// One requirement, and what was found about it.
pub(super) struct Row<'a> {
    pub(super) id: &'a str,
    pub(super) level: Level,
    pub(super) verdict: Verdict,
    /// The text of the requirement, if the catalogue has it.
    pub(super) says: Option<String>,
    /// What there is to say beyond the verdict.
    pub(super) checks: Vec<&'a Check>,
}

/// One row for each requirement that a check is about, in the order of the catalogue; then those it does not have.
pub(super) fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut ids: Vec<&str> = Vec::new();
    for check in &report.checks {
        for id in cited(check) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids.sort_by_key(|id| place(id));
    ids.into_iter().map(|id| row(report, id)).collect()
}

/// The text of a requirement or invariant.
pub(super) fn statement(id: &str) -> Option<String> {
    Some(match catalogue::find(id)? {
        Entry::Requirement(requirement) => requirement.statement.clone(),
        Entry::Invariant(invariant) => format!("{}. {}", invariant.title, invariant.statement),
    })
}

/// What a check is about; itself, if it names nothing else.
fn cited(check: &Check) -> impl Iterator<Item = &str> {
    let own = check.requirements.is_empty().then_some(check.id.as_str());
    check.requirements.iter().map(String::as_str).chain(own)
}

/// Where the catalogue has it; what it does not have comes last, in the order of the report.
fn place(id: &str) -> usize {
    let requirements = catalogue::requirements().iter().map(|requirement| requirement.id);
    let invariants = catalogue::invariants().iter().map(|invariant| invariant.id);
    requirements.chain(invariants).position(|known| known == id).unwrap_or(usize::MAX)
}

fn row<'a>(report: &'a Report, id: &'a str) -> Row<'a> {
    let about: Vec<&Check> =
        report.checks.iter().filter(|check| cited(check).any(|cited| cited == id)).collect();
    let level = match catalogue::find(id) {
        Some(Entry::Requirement(requirement)) => requirement.level,
        Some(Entry::Invariant(_)) => Level::Must,
        None => about.iter().map(|check| check.level).min().unwrap_or(Level::Must),
    };
    let verdict = about.iter().map(|check| &check.verdict).min_by_key(|verdict| weight(verdict));
    let says =
        statement(id).or_else(|| about.iter().find(|check| check.id == id).map(|check| check.says.clone()));
    let has_more =
        |check: &&Check| check.id != id || check.verdict != Verdict::Pass || !check.detail.is_empty();
    Row {
        id,
        level,
        verdict: verdict.cloned().unwrap_or(Verdict::NotExercised),
        says: says.filter(|says| !says.is_empty()),
        checks: about.into_iter().filter(has_more).collect(),
    }
}

/// One failure outweighs all that passed, and what passed outweighs what was never tried.
fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Weak => 1,
        Verdict::Pass => 2,
        Verdict::Waived { .. } => 3,
        Verdict::NotExercised => 4,
    }
}
