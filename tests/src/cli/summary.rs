//! What a run leaves behind: reports for machines and people, and one line that says how it ended.

use token_refresh_conformance::report::{Outcome, Report, Strictness, Verdict};

use super::options::Options;

/// Writes what was asked for, and says how it ended.
pub(crate) fn close(options: &Options, report: &Report) -> Outcome {
    let strictness = if options.strict { Strictness::Strict } else { Strictness::Lenient };
    let outcome = report.outcome(strictness);
    let waived = Verdict::Waived { reason: String::new() };
    let counts =
        [Verdict::Pass, Verdict::Fail, Verdict::Weak, Verdict::NotExercised, waived].map(|verdict| {
            let count = report.count(&verdict);
            (count > 0).then(|| format!("{count} {}", verdict.to_string().to_lowercase()))
        });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    eprintln!("{} {outcome}: {}", report.subject, counts.join(", "));
    outcome
}
