//! The scenarios of the kit, played to the programs that come with it: those of the three adapters pass all of them.

use std::{env, path::PathBuf};

use token_refresh_conformance::{
    client::{Subject, run, scenarios},
    report::Verdict,
};

/// Cargo builds the examples of a package before it runs its tests.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this test");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("a target folder");
    profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION)
}

fn passes_all(name: &str) {
    let subject = Subject::meet([example(name)]).expect("the program says hello");
    let checks = run(&subject, &scenarios(), |_, _| {});
    let right = |verdict: &Verdict| matches!(verdict, Verdict::Pass | Verdict::NotExercised);
    let wrong: Vec<_> = checks.iter().filter(|check| !right(&check.verdict)).collect();
    for check in &wrong {
        eprintln!("{} ({}): {} {}", check.id, check.says, check.verdict, check.detail);
    }
    assert!(wrong.is_empty(), "{} of {} scenarios", wrong.len(), checks.len());
}

#[test]
fn the_ureq_adapter_passes_all_scenarios() {
    passes_all("client_ureq");
}

#[test]
fn the_reqwest_adapter_passes_all_scenarios() {
    passes_all("client_reqwest");
}

#[test]
fn the_hyper_adapter_passes_all_scenarios() {
    passes_all("client_hyper");
}
