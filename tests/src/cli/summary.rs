//! What a run leaves behind: reports for people and for machines, and one line that says how it ended.

use std::fs;
use std::path::Path;

use token_refresh_conformance::report::{Outcome, Report, Strictness, Verdict};

use super::options::Options;

/// Writes what was asked for, and says how it ended.
pub(crate) fn close(options: &Options, report: &Report) -> Result<Outcome, String> {
    let strictness = if options.strict { Strictness::Strict } else { Strictness::Lenient };
    write(options.report.as_deref(), || report.html(strictness))?;
    write(options.json.as_deref(), || report.json(strictness))?;
    write(options.junit.as_deref(), || report.junit(strictness))?;
    let outcome = report.outcome(strictness);
    let waived = Verdict::Waived { reason: String::new() };
    let counts =
        [Verdict::Pass, Verdict::Fail, Verdict::Weak, Verdict::NotExercised, waived].map(|verdict| {
            let count = report.count(&verdict);
            (count > 0).then(|| format!("{count} {}", verdict.to_string().to_lowercase()))
        });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    eprintln!("{} {outcome}: {}", report.subject, counts.join(", "));
    Ok(outcome)
}

fn write(file: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    fs::write(file, text())
        .map_err(|error| format!("{} cannot be written: {error}. Is the folder there?", file.display()))
}
