//! All rules that the judge knows, and what they say.

use crate::catalogue::{self, Entry};
use crate::report::Level;

/// All rules that the judge knows, by name.
pub const RULES: &[&str] = crate::conformance!(@rules __names_of_rules);

/// The rules of the claim protocol, by which processes share a refresh token, and two that are about calls. All others
/// are in the catalogue.
const UNCATALOGUED: [(&str, &str); 13] = [
    ("order of a batch", "An effect comes last in its batch: callers have been answered when it begins."),
    (
        "timers",
        "Without a store, timers only make things earlier: a machine that is never told that time has passed gives callers the same answers.",
    ),
    (
        "rule 1",
        "Nothing is presented without a claim that the store has acknowledged. A commit without answer proves nothing: load, and look for oneself.",
    ),
    (
        "rule 2",
        "A claim counts the presentation that it is for: one's own that was never sent keeps its number, anything else takes the next one.",
    ),
    ("rule 3", "The policy is asked again whenever a claim for a later presentation is written."),
    (
        "rule 4",
        "The claim of another process is waited for by watching, for its whole term and by one's own clock; who takes over counts on, and keeps the instant of the first presentation.",
    ),
    (
        "rule 5",
        "A grant is saved whenever the record still is what was spent for it, whoever holds the claim and whatever was refused: it is the only copy.",
    ),
    ("rule 6", "A grant that another process has overtaken is dropped, and not revoked."),
    ("rule 7", "After a contested save the new refresh token rests for one term."),
    ("rule 8", "What is owed to the store is paid without any demand."),
    (
        "rule 9",
        "A refusal is remembered and marked on the record; and whoever failed looks at the store again, at a bounded rate.",
    ),
    ("rule 10", "What another identity stored is never adopted: the session is part of every decision."),
    (
        "rule 11",
        "A sign-in recognises itself by its session, in a tombstone too; an ended session does not come back.",
    ),
];

/// What a rule says; empty for one that the judge does not know.
pub fn statement(rule: &str) -> &'static str {
    match catalogue::find(rule) {
        Some(Entry::Requirement(requirement)) => &requirement.statement,
        Some(Entry::Invariant(invariant)) => &invariant.statement,
        None => UNCATALOGUED.iter().find(|(name, _)| *name == rule).map_or("", |(_, says)| says),
    }
}

/// How binding a rule is. Invariants, and what follows from them, are without exception.
pub fn level(rule: &str) -> Level {
    match catalogue::find(rule) {
        Some(Entry::Requirement(requirement)) => match requirement.level {
            catalogue::Level::Must => Level::Must,
            catalogue::Level::Should => Level::Should,
            catalogue::Level::May => Level::May,
        },
        Some(Entry::Invariant(_)) | None => Level::Must,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rule_that_is_cited_is_listed_and_says_something() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/judge");
        let files = folder.read_dir().expect("the judge has files").map(|file| file.expect("listed").path());
        let text: String = files
            .filter(|file| !file.ends_with("rules.rs"))
            .map(|file| std::fs::read_to_string(file).expect("it is text"))
            .collect();
        let quoted = text.split('"').skip(1).step_by(2);
        let is_id = |word: &&str| {
            let parts = word.split_once('-').or(word.split_once(' '));
            parts.is_some_and(|(group, number)| {
                (group == "rule" || group.chars().all(|c| c.is_ascii_uppercase()))
                    && (1..=2).contains(&number.len())
                    && number.chars().all(|c| c.is_ascii_digit())
            })
        };
        let cited: BTreeSet<&str> = quoted.filter(is_id).chain(["order of a batch", "timers"]).collect();
        assert_eq!(cited, RULES.iter().copied().collect());
        for rule in RULES {
            assert!(!statement(rule).is_empty(), "{rule} says nothing");
        }
    }
}
