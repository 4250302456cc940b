//! `client`: an HTTP client against servers that misbehave.

use super::Verdict;
use super::options::Options;

/// Runs the scenarios against the program.
pub(crate) fn run(options: &Options) -> Result<Verdict, String> {
    Err(format!("the scenarios for {} are not part of this version", options.program[0].display()))
}
