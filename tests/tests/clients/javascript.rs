//! The two clients in JavaScript: one is right, and the other is the interceptor that is found in many programs.
//!
//! The interceptor shows that the scenarios find what they are for. [`DEFECTS`] says for each of its defects which
//! scenarios show it, at their smallest; the numbers and the histories are those of the tests in `seed_pattern`.

use std::{path::Path, time::Duration};

use token_refresh_conformance::{
    client::{Subject, run, scenarios},
    report::Verdict,
};

use crate::{passes_all, played};

/// The defects by their numbers, and the scenarios that show them.
///
/// | | |
/// | --- | --- |
/// | 1 | the flag stays set when the request fails |
/// | 2 | whoever waits never hears of the failure |
/// | 3 | a late refusal refreshes again |
/// | 4 | nothing stops the loop |
/// | 5 | a demand during the callbacks is lost |
/// | 6 | the refresh waits for itself |
/// | 7 | the new refresh token is thrown away |
/// | 8 | a failure is forgotten; only with the repair of 1, which hides it |
/// | 9 | the token of one user serves another |
/// | 10 | every server gets the token |
/// | 11 | `Bearer` overwrites everything |
/// | 12 | the queue has no end and no exit |
/// | 13 | every hour a burst of refusals |
/// | 14 | an upload is replaced by nothing |
/// | 15 | two processes spend one refresh token |
/// | 16 | every failure is the same |
const DEFECTS: &[(u32, &[&str])] = &[
    (1, &["core-after-failed-refresh", "core-after-empty-success"]),
    (2, &["core-herd-fails"]),
    (3, &["core-late-refusal"]),
    (4, &["core-one-repetition", "core-breaker", "chal-second-refusal"]),
    (5, &["core-demand-during-release"]),
    (6, &["core-token-endpoint-401"]),
    (7, &["xrsp-rotation"]),
    (9, &["sess-sign-in-during-refresh"]),
    (10, &["sec-foreign-origin", "sec-no-origins", "sec-look-alikes"]),
    (11, &["auth-own-credentials", "auth-token-type-unknown"]),
    (12, &["core-time-limit"]),
    (13, &["auth-known-end"]),
    (14, &["rply-stream"]),
    (15, &["mp-refused-at-once"]),
    (16, &["obs-causes"]),
];

/// Eight comes to light when one is repaired.
const DEFECTS_OF_THE_REPAIRED: &[(u32, &[&str])] = &[(8, &["core-late-refusals-after-failure"])];

/// Enough for a client that answers at all.
const PATIENCE: Duration = Duration::from_secs(2);

fn client(arguments: &[&str]) -> Subject {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("subjects/javascript");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in {} first", folder.display());
    let program = folder.join(arguments[0]).display().to_string();
    let command = ["node", &program].into_iter().chain(arguments[1..].iter().copied());
    Subject::meet(command).expect("the program says hello").patience(PATIENCE)
}

#[test]
#[ignore = "needs Node.js: `npm ci` in tests/subjects/javascript, and then `-- --ignored`"]
fn the_correct_client_passes_all_scenarios() {
    passes_all(&client(&["client.js"]));
}

/// All that it fails, with the defects behind it where the scenario shows one of them at its smallest.
#[test]
#[ignore = "needs Node.js: `npm ci` in tests/subjects/javascript, and then `-- --ignored`"]
fn the_naive_client_shows_its_defects() {
    let checks = run(&client(&["naive.js"]), &scenarios(), |_, _| {});
    let failed = checks.iter().filter(|check| matches!(check.verdict, Verdict::Fail | Verdict::Weak));
    let line = |id: &str, verdict: &str| {
        let shows = DEFECTS.iter().filter(|(_, scenarios)| scenarios.contains(&id));
        let shows: Vec<_> = shows.map(|(number, _)| number.to_string()).collect();
        format!("{:<3} {id} ({verdict})\n", shows.join(" "))
    };
    let found: String = failed.map(|check| line(&check.id, &check.verdict.to_string())).collect();

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("subjects/javascript/naive.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &found).expect("the list can be written");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("the list"), found, "UPDATE=1 writes it anew");
    for (number, scenarios) in DEFECTS {
        for scenario in *scenarios {
            assert!(found.contains(&format!(" {scenario} (Fail)")), "{scenario} shows defect {number}");
        }
    }
}

#[test]
#[ignore = "needs Node.js: `npm ci` in tests/subjects/javascript, and then `-- --ignored`"]
fn the_repair_of_one_defect_uncovers_another() {
    let repaired = client(&["naive.js", "finally"]);
    for id in DEFECTS[0].1 {
        assert_eq!(played(&repaired, id).verdict, Verdict::Pass, "{id}");
    }
    for id in DEFECTS_OF_THE_REPAIRED.iter().flat_map(|(_, scenarios)| *scenarios) {
        let check = played(&repaired, id);
        assert_eq!((check.verdict, &*check.detail), (Verdict::Fail, "4 token requests instead of 1"), "{id}");
    }
}
