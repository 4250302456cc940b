//! Small worlds of the real machine, explored to the end.

use std::collections::BTreeSet;

use token_refresh_mutants::explore::{Report, Setting, explore, worlds};
use token_refresh_mutants::plant;

/// More states than any of these worlds has.
const MOST: usize = 1_000_000;

/// Explores them on all processors, and prints what each took.
fn hold(settings: &[Setting]) -> BTreeSet<&'static str> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let explorer = || {
        plant(None);
        let mut reached = BTreeSet::new();
        while let Some(setting) = settings.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let Report { states, moves, ends, took, reached: labels, violation, complete } =
                explore(setting, MOST);
            println!(
                "{states:>8} states {moves:>8} moves {ends:>6} ends {:>6.1} s  {setting}",
                took.as_secs_f32()
            );
            if let Some((violation, path)) = violation {
                panic!("{setting}\n{}: {}\n{path:?}", violation.rule, violation.says);
            }
            assert!(complete, "{setting} has more states than {MOST}");
            reached.extend(labels);
        }
        reached
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(explorer)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("all hold")).collect()
    })
}

#[test]
fn two_processes_with_one_store_keep_the_rules_whatever_goes_wrong_once() {
    let reached = hold(&worlds::together(2, 1, 1));
    for branch in ["inside the window", "last resort", "not rotating", "until used"] {
        let label = format!("presented again: {branch}");
        assert!(reached.contains(label.as_str()), "never {label}: {reached:?}");
    }
}

#[test]
fn one_process_keeps_the_rules_through_two_identities() {
    let small: Vec<Setting> = worlds::alone(2).into_iter().filter(|setting| !setting.shared).collect();
    let reached = hold(&small);
    for label in ["a stored failure served to a late refusal", "an orphan revoked"] {
        assert!(reached.contains(label), "never {label}: {reached:?}");
    }
}
