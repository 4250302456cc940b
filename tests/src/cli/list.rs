//! `list`: what is tested.

use super::Verdict;
use super::options::Options;

/// Prints one line for each requirement.
pub(crate) fn run(options: &Options) -> Verdict {
    let rules = ["I-01"].into_iter().filter(|id| options.wants(id));
    rules.for_each(|id| println!("{id}"));
    Verdict::Passed
}
