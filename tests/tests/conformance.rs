//! The machine of this workspace is certified as any other one would be.

use token_refresh_conformance::report::Verdict;
use token_refresh_conformance::{CoreSubject, conformance};

conformance!(CoreSubject);

/// A rule that is never looked at could as well not be there.
#[test]
fn the_scripts_of_a_certification_exercise_every_rule() {
    let open = CONFORMANCE.checks.iter().filter(|check| check.verdict == Verdict::NotExercised);
    let open: Vec<&str> = open.map(|check| check.id.as_str()).collect();
    assert!(open.is_empty(), "not exercised: {open:?}");
}
