//! What a run of the kit found out about a subject, whatever kind of subject it is.
//!
//! A [`Report`] is a list of [`Check`]s: one for each requirement of a state machine, one for each scenario of an HTTP
//! client. What failed carries the smallest script that shows it and a sequence [`Chart`] of what happened.

mod chart;
mod html;
mod json;
mod junit;
mod machine;
mod rows;
mod svg;

use std::fmt;
use std::process::ExitCode;

pub use crate::catalogue::Level;
pub use chart::{Chart, Fate, Item, Lane, Manner, Participant, Role};

/// What was found out about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was tested, as its user calls it: the command line, or the name of a type.
    pub subject: String,
    /// The version of the kit.
    pub kit: String,
    /// Where the random scripts of this run came from, if there were any.
    pub sample: Option<Sample>,
    /// What was checked, in the order in which it is shown.
    pub checks: Vec<Check>,
}

/// Which random scripts a run has tried: the same sample gives the same scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where all of them came from.
    pub seed: u64,
    /// How many there were.
    pub cases: u64,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, unique in its report: that of the requirement or of the scenario.
    pub id: String,
    /// What it is about, in a sentence; empty if the text of its requirement says it.
    pub says: String,
    /// The ids of the requirements that it is about, as the catalogue has them.
    pub requirements: Vec<String>,
    /// How binding they are.
    pub level: Level,
    /// What was found.
    pub verdict: Verdict,
    /// How it was found, or why it was not: a sentence for people. Empty if there is nothing to say.
    pub detail: String,
    /// The smallest script that shows a failure, in its text form.
    pub script: Option<String>,
    /// What happened in it.
    pub history: Option<Chart>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The subject does what it should.
    Pass,
    /// It does not.
    Fail,
    /// It does what it must, in a way that helps nobody: it is right because it does less than it could.
    Weak,
    /// The situation never came up, so nothing is known.
    NotExercised,
    /// The subject says that it does not do this, and why. It is not held against it.
    Waived {
        /// In the words of the subject.
        reason: String,
    },
}

/// How severely a report is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// What fails a MUST does not conform.
    Lenient,
    /// Nor does what fails a SHOULD, is weak in a MUST, or leaves one open.
    Strict,
}

/// What all checks say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The subject conforms.
    Conforms,
    /// It does not.
    Deviates,
    /// Nothing was exercised, or nothing but what is waived: the run shows nothing.
    Void,
}

impl Report {
    /// An empty report by this version of the kit.
    pub fn new(subject: impl Into<String>, sample: Option<Sample>) -> Self {
        Self {
            subject: subject.into(),
            kit: env!("CARGO_PKG_VERSION").to_owned(),
            sample,
            checks: Vec::new(),
        }
    }

    /// What all checks say together.
    pub fn outcome(&self, strictness: Strictness) -> Outcome {
        if self.checks.iter().any(|check| check.counts_against(strictness)) {
            return Outcome::Deviates;
        }
        let shown = |check: &Check| matches!(check.verdict, Verdict::Pass | Verdict::Weak | Verdict::Fail);
        if self.checks.iter().any(shown) { Outcome::Conforms } else { Outcome::Void }
    }

    /// How many checks have this verdict; of a waiver, whatever its reason.
    pub fn count(&self, verdict: &Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict.name() == verdict.name()).count()
    }
}

impl Check {
    /// A check that has not been exercised yet.
    pub fn new(id: impl Into<String>, level: Level) -> Self {
        Self {
            id: id.into(),
            says: String::new(),
            requirements: Vec::new(),
            level,
            verdict: Verdict::NotExercised,
            detail: String::new(),
            script: None,
            history: None,
        }
    }

    /// Whether a subject with this result does not conform.
    pub fn counts_against(&self, strictness: Strictness) -> bool {
        let strict = strictness == Strictness::Strict;
        match (&self.verdict, self.level) {
            (Verdict::Fail, Level::Must) => true,
            (Verdict::Fail, Level::Should) | (Verdict::Weak | Verdict::NotExercised, Level::Must) => strict,
            (Verdict::Fail, Level::May)
            | (Verdict::Weak | Verdict::NotExercised, Level::Should | Level::May)
            | (Verdict::Pass | Verdict::Waived { .. }, _) => false,
        }
    }
}

impl Outcome {
    /// For the process: 0 conforms, 1 does not, 3 nothing was shown. (2 is left for a tool that could not test at all.)
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Conforms => ExitCode::SUCCESS,
            Self::Deviates => ExitCode::from(1),
            Self::Void => ExitCode::from(3),
        }
    }
}

impl Verdict {
    /// Its name, as it stands in reports for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Weak => "weak",
            Self::NotExercised => "not-exercised",
            Self::Waived { .. } => "waived",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::Weak => "Weak",
            Self::NotExercised => "Not exercised",
            Self::Waived { .. } => "Waived",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conforms => "conforms",
            Self::Deviates => "does not conform",
            Self::Void => "nothing was shown",
        })
    }
}

/// What comes from a subject, without the characters that no page and no XML may contain.
fn printable(text: &str) -> String {
    let is_allowed =
        |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
