//! `machine`: a state machine in another process.

use std::fs;
use std::path::{Path, PathBuf};

use token_refresh_conformance::certify::{self, Plan, Progress as Step, certify, replay};
use token_refresh_conformance::judge::statement;
use token_refresh_conformance::protocol::{Limits, Program};
use token_refresh_conformance::report::{Report, Verdict};
use token_refresh_conformance::script::Script;

use super::options::Options;
use super::progress::Progress;

/// Where scripts that fail are written.
const FOLDER: &str = "conformance-failures";

/// Plays random histories to the program, or the one of `--replay`.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let mut program =
        Program::start(options.program.clone(), Limits::default()).map_err(|error| error.to_string())?;
    let subject = format!("{} ({})", program.name(), options.command_line());
    let plan = plan(options).profile(program.profile().clone());
    let report = if let Some(file) = &options.replay {
        let script = read(file)?;
        if !program.profile().knows(&script.world) {
            let (file, world) = (file.display(), &script.world);
            return Err(format!("{file} asks for what the program says it does not know: {world}"));
        }
        replay(&mut program, &subject, &plan, &script)
    } else {
        let mut bar = Progress::default();
        certify(&mut program, &subject, &plan, &mut |step| match step {
            Step::Trying(done, of) => bar.show(done, of, "histories"),
            Step::Shrinking(rule) => {
                bar.say(&format!("looking for the smallest history that breaks {rule}"));
            }
        })
    };
    explain(options, &report)?;
    match program.last_words().trim() {
        "" => {}
        words => {
            eprintln!("\nThe standard error of the program, when it failed to answer, ended with:\n{words}");
        }
    }
    Ok(report)
}

/// What is asked for.
pub(crate) fn plan(options: &Options) -> Plan {
    Plan::default().seed(options.seed).cases(options.cases).only(options.only.clone())
}

/// Says for each failure which rule is broken, how, and by which script; and where the script was written.
fn explain(options: &Options, report: &Report) -> Result<(), String> {
    for check in report.checks.iter().filter(|check| check.verdict == Verdict::Fail) {
        println!("{} is broken: {}", check.id, check.detail);
        println!("  {}\n", statement(&check.id));
        let Some(script) = &check.script else { continue };
        script.lines().for_each(|line| println!("    {line}"));
        if options.replay.is_none() {
            let file = file_of(&check.id);
            let command = format!(
                "token-refresh-conformance machine --replay {} -- {}",
                file.display(),
                options.command_line()
            );
            let unwritten = |error| format!("{} cannot be written: {error}", file.display());
            fs::create_dir_all(FOLDER).map_err(unwritten)?;
            fs::write(&file, certify::script_file(check, &command)).map_err(unwritten)?;
            println!("\n  Run it again: {command}");
        }
        println!();
    }
    Ok(())
}

fn file_of(rule: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{}.script", rule.replace(' ', "-")))
}

fn read(file: &Path) -> Result<Script, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}, {error}", file.display()))
}
