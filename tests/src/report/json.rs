//! A report as JSON, for programs.
//!
//! `version` says which form this is. Members may be added to it; a change of another kind raises it.

use serde::Serialize;

use super::{Check, Fate, Item, Lane, Manner, Report, Strictness, Verdict};

/// The version of the form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    kit: &'a str,
    subject: &'a str,
    sample: Option<Sample>,
    strict: bool,
    outcome: String,
    checks: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Sample {
    seed: u64,
    cases: u64,
}

#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    says: &'a str,
    requirements: &'a [String],
    level: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    counts_against: bool,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<Chart<'a>>,
}

#[derive(Serialize)]
struct Chart<'a> {
    participants: Vec<Participant<'a>>,
    items: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Participant<'a> {
    role: &'static str,
    name: &'a str,
}

/// Lanes are indices of participants.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Message { at: u64, from: usize, to: usize, text: &'a str, manner: &'static str, arrives: bool },
    Note { at: u64, lane: usize, text: &'a str },
    Divider { at: u64, text: &'a str },
    Violation { at: u64, lane: Option<usize>, text: &'a str },
    Repeated { at: u64, items: usize, times: usize },
}

impl Report {
    /// The report as a JSON document, read as severely as this.
    ///
    /// | member | what it is |
    /// | --- | --- |
    /// | `version` | 1: the version of this form |
    /// | `kit`, `subject` | the version of the kit, and what was tested |
    /// | `sample` | `seed` and `cases` of the random scripts, or `null` |
    /// | `strict` | how the report was read |
    /// | `outcome` | `conforms`, `does not conform` or `nothing was shown` |
    /// | `checks` | one object for each check |
    ///
    /// | member of a check | what it is |
    /// | --- | --- |
    /// | `id`, `says` | its name, and what it is about (empty: what its requirement says) |
    /// | `requirements` | ids of the catalogue |
    /// | `level` | `MUST`, `SHOULD` or `MAY` |
    /// | `verdict` | `pass`, `fail`, `weak`, `not-exercised` or `waived` |
    /// | `reason` | of a waiver, in the words of the subject |
    /// | `counts_against` | whether it keeps the subject from conforming |
    /// | `detail` | how it was found |
    /// | `script` | the smallest script that shows a failure |
    /// | `chart` | what happened in it: `participants` (`role`, `name`) and `items`; `at` is milliseconds since its beginning, `from`, `to` and `lane` are indices of participants |
    pub fn json(&self, strictness: Strictness) -> String {
        let document = Document {
            version: VERSION,
            kit: &self.kit,
            subject: &self.subject,
            sample: self.sample.map(|sample| Sample { seed: sample.seed, cases: sample.cases }),
            strict: strictness == Strictness::Strict,
            outcome: self.outcome(strictness).to_string(),
            checks: self.checks.iter().map(|check| found(check, strictness)).collect(),
        };
        // Nothing in it can fail to be written: all keys are text.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

fn found(check: &Check, strictness: Strictness) -> Found<'_> {
    Found {
        id: &check.id,
        says: &check.says,
        requirements: &check.requirements,
        level: check.level.to_string(),
        verdict: check.verdict.name(),
        reason: match &check.verdict {
            Verdict::Waived { reason } => Some(reason),
            Verdict::Pass | Verdict::Fail | Verdict::Weak | Verdict::NotExercised => None,
        },
        counts_against: check.counts_against(strictness),
        detail: &check.detail,
        script: check.script.as_deref(),
        chart: check.history.as_ref().map(|chart| Chart {
            participants: chart
                .participants()
                .iter()
                .map(|participant| Participant { role: participant.role.name(), name: &participant.name })
                .collect(),
            items: chart.items().iter().map(line).collect(),
        }),
    }
}

fn line(item: &Item) -> Line<'_> {
    match item {
        Item::Message { at, from, to, text, manner, fate } => Line::Message {
            at: *at,
            from: from.index(),
            to: to.index(),
            text,
            manner: match manner {
                Manner::Call => "call",
                Manner::Answer => "answer",
                Manner::Refusal => "refusal",
            },
            arrives: *fate == Fate::Arrives,
        },
        Item::Note { at, lane, text } => Line::Note { at: *at, lane: lane.index(), text },
        Item::Divider { at, text } => Line::Divider { at: *at, text },
        Item::Violation { at, lane, text } => Line::Violation { at: *at, lane: lane.map(Lane::index), text },
        Item::Repeated { at, items, times } => Line::Repeated { at: *at, items: *items, times: *times },
    }
}
