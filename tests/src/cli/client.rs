//! `client`: an HTTP client against servers that misbehave.

use std::sync::Mutex;

use token_refresh_conformance::{
    client::{self, Scenario, Subject},
    report::{Report, Verdict},
};

use super::{options::Options, progress::Progress};

/// Plays the scenarios to the program, and prints what it does not pass.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let scenarios = scenarios(&options.only);
    let subject = Subject::meet(options.program.clone())?;
    let mut report = Report::new(options.command_line(), None);
    let bar = Mutex::new(Progress::default());
    report.checks = client::run(&subject, &scenarios, |done, check| {
        if let Ok(mut bar) = bar.lock() {
            bar.show(done as u64, scenarios.len() as u64, &check.id);
        }
    });
    drop(bar);
    for check in report.checks.iter().filter(|check| matches!(check.verdict, Verdict::Fail | Verdict::Weak)) {
        let (id, verdict, level) = (&check.id, &check.verdict, check.level);
        println!("{id}: {verdict} ({level} of {})", check.requirements.join(", "));
        println!("  {}\n  {}\n", check.says, check.detail);
    }
    Ok(report)
}

/// Those that are asked for, by the beginnings of their own ids or of those of their requirements. None: all.
pub(crate) fn scenarios(only: &[String]) -> Vec<Scenario> {
    let wanted = |scenario: &Scenario| {
        let ids = || scenario.requirements.iter().copied().chain([scenario.id]);
        only.is_empty() || only.iter().any(|wanted| ids().any(|id| id.starts_with(wanted.as_str())))
    };
    client::scenarios().into_iter().filter(wanted).collect()
}
