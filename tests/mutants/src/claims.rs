//! Faults of the claim protocol that the exploration has to find.

use crate::table::Mutant;

/// Those of the common table.
pub const PROTOCOL: &[&str] = &[
    "no-claim",
    "unanswered-claim-trusted",
    "own-sent-claim-reused",
    "number-not-raised",
    "first-at-moved",
    "no-waiting",
    "short-term",
    "superseded-revoked",
    "mark-is-tombstone",
    "refusal-blocks-save",
    "not-marked",
    "holder-left-by-save",
    "saved-over-anything",
    "exchange-beside-unsaved",
    "unsaved-dropped",
    "granted-before-saved",
];

/// Those that are planted for the exploration alone. The store of a small world takes a version that no store has for
/// "whatever is there".
pub const MORE: &[Mutant] = &[
    Mutant {
        id: "claim-without-comparison",
        says: "a claim goes over whatever is there",
        breaks: &[],
        file: "transitions.rs",
        place: "Effect::Commit { ticket, expected: «self.known.version», record }",
        fault: "match &self.stage { Stage::Refreshing(Run { step: Step::Commit { purpose: Purpose::Claim { .. }, .. }, .. }) => Version(u64::MAX), _ => self.known.version }",
    },
    Mutant {
        id: "save-without-comparison",
        says: "a save goes over whatever is there",
        breaks: &[],
        file: "transitions.rs",
        place: "Effect::Commit { ticket, expected: «self.known.version», record }",
        fault: "match &self.stage { Stage::Refreshing(Run { step: Step::Commit { purpose: Purpose::Save, .. }, .. }) => Version(u64::MAX), _ => self.known.version }",
    },
    Mutant {
        id: "mark-without-comparison",
        says: "the mark of a refusal goes over whatever is there",
        breaks: &[],
        file: "transitions.rs",
        place: "Effect::Commit { ticket, expected: «self.known.version», record }",
        fault: "match &self.stage { Stage::Refreshing(Run { step: Step::Commit { purpose: Purpose::Mark, .. }, .. }) => Version(u64::MAX), _ => self.known.version }",
    },
    Mutant {
        id: "age-by-first-presentation",
        says: "the age of a claim is told by the first presentation",
        breaks: &[],
        file: "protocol.rs",
        place: "(«self.credit >= term && !patient»).then_some(next)",
        fault: "self.now.since(record.first_at) >= term",
    },
    Mutant {
        id: "age-by-foreign-clock",
        says: "the age of a claim is told by the clock of its holder, with some skew",
        breaks: &[],
        file: "protocol.rs",
        place: "(«self.credit >= term && !patient»).then_some(next)",
        fault: "self.now.since(record.first_at).saturating_add(self.config.skew) >= term",
    },
    Mutant {
        id: "long-dead-by-wall-clock",
        says: "a claim that looks old is taken over at once",
        breaks: &[],
        file: "protocol.rs",
        place: "(«self.credit >= term && !patient»).then_some(next)",
        fault: "self.credit >= term || self.now.since(record.first_at) >= term.saturating_mul(2)",
    },
    Mutant {
        id: "send-by-without-save",
        says: "the time to send leaves no time for the exchange and the save",
        breaks: &[],
        file: "transitions.rs",
        place: "let send_by = «now.after(self.config.send_limit)».min(latest);",
        fault: "now.after(self.config.term()).before(self.config.exchange_limit)",
    },
    Mutant {
        id: "no-send-by",
        says: "the clock is not looked at before sending",
        breaks: &[],
        file: "transitions.rs",
        place: "let send_by = «now.after(self.config.send_limit)».min(latest);",
        fault: "Timestamp::MAX",
    },
    Mutant {
        id: "save-compared-by-token",
        says: "a grant in hand belongs over any record with the same refresh token",
        breaks: &[],
        file: "protocol.rs",
        place: "if «record.serial == self.spent» {",
        fault: "record.serial == self.spent || record.grant().and_then(Grant::refresh_token) == self.grant.refresh_token()",
    },
    Mutant {
        id: "refusal-forgotten-at-conflict",
        says: "a refusal is forgotten after a conflict",
        breaks: &[],
        file: "transitions.rs",
        place: "if !mem::replace(&mut run.conflict, true) => «self.load(run, now)»,",
        fault: "self.lineage.verdict = None; self.load(run, now)",
    },
    Mutant {
        id: "save-needs-claim",
        says: "a grant is saved only while the claim stands",
        breaks: &[],
        file: "protocol.rs",
        place: "return «unsaved.decide(record)»;",
        fault: "match unsaved.decide(record) { Decision::Save if !record.is_held_by(self.me) => Decision::Supersede, other => other }",
    },
    Mutant {
        id: "later-sibling-dropped",
        says: "a save that is answered lets go of a later successor that came meanwhile",
        breaks: &[],
        file: "transitions.rs",
        place: "&& «unsaved.n != record.born»",
        fault: "false",
    },
];
