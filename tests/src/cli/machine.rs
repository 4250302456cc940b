//! `machine`: a state machine in another process.

use super::Verdict;
use super::options::Options;

/// Plays random histories to the program, or the one of `--replay`.
pub(crate) fn run(options: &Options) -> Result<Verdict, String> {
    Err(format!("machines like {} are not part of this version", options.program[0].display()))
}
