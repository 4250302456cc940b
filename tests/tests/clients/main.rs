//! The scenarios of the kit, played to the programs that come with it: those of the three adapters pass all of them.

mod javascript;

use std::{env, path::PathBuf};

use token_refresh_conformance::{
    catalogue,
    client::{Subject, run, scenarios},
    report::{Check, Verdict},
};

#[test]
fn the_ureq_adapter_passes_all_scenarios() {
    passes_all(&example("client_ureq"));
}

#[test]
fn the_reqwest_adapter_passes_all_scenarios() {
    passes_all(&example("client_reqwest"));
}

#[test]
fn the_hyper_adapter_passes_all_scenarios() {
    passes_all(&example("client_hyper"));
}

#[test]
fn scenarios_have_names_of_their_own_and_requirements_of_the_catalogue() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 60);
    for (index, scenario) in scenarios.iter().enumerate() {
        assert!(scenarios[..index].iter().all(|other| other.id != scenario.id), "{} twice", scenario.id);
        assert!(!scenario.requirements.is_empty(), "{} is about nothing", scenario.id);
        for id in scenario.requirements {
            assert!(catalogue::find(id).is_some(), "{}: {id} is not in the catalogue", scenario.id);
        }
    }
}

/// A program that cannot be started, ends, or talks nonsense is a verdict on it, and holds up nothing.
#[test]
#[cfg(unix)]
fn programs_that_are_no_clients_are_told_so() {
    let meet = |command: &[&str]| Subject::meet(command.iter().copied()).expect_err("no client");
    assert!(meet(&["/no/such/program"]).contains("cannot be started"));
    assert!(meet(&["true"]).contains("has ended"));
    assert!(meet(&["echo", "hello"]).contains("says what is not in the protocol"));
    let hello = r#"{"hello":{"version":9,"can":["oauth"]}}"#;
    assert!(meet(&["echo", hello]).contains("speaks version 9 of the protocol, not 1"));

    let hello = r#"{"hello":{"version":1,"can":["oauth"]}}"#;
    for (script, expected) in [
        (format!("echo '{hello}'; read settings"), "has ended"),
        (format!("echo '{hello}'; read settings; read command; echo 17; cat"), "not in the protocol"),
        (format!("echo '{hello}'; cat > /dev/null"), "it hangs"),
    ] {
        let subject = Subject::meet(["sh", "-c", &script]).expect("it says hello");
        let check = played(&subject.patience(std::time::Duration::ZERO), "core-herd");
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.detail.contains(expected), "{}", check.detail);
        assert!(check.history.is_some(), "a chart says how far it came");
    }
}

/// Cargo builds the examples of a package before it runs all of its tests.
fn example(name: &str) -> Subject {
    let test = env::current_exe().expect("this test");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("a target folder");
    let program: PathBuf = profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    Subject::meet([program]).expect("`cargo build --examples` has made it, and it says hello")
}

fn passes_all(subject: &Subject) {
    let checks = run(subject, &scenarios(), |_, _| {});
    let right = |verdict: &Verdict| matches!(verdict, Verdict::Pass | Verdict::NotExercised);
    let wrong: Vec<_> = checks.iter().filter(|check| !right(&check.verdict)).collect();
    for check in &wrong {
        eprintln!("{} ({}): {} {}", check.id, check.says, check.verdict, check.detail);
    }
    assert!(wrong.is_empty(), "{} of {} scenarios", wrong.len(), checks.len());
}

fn played(subject: &Subject, id: &str) -> Check {
    let scenarios = scenarios();
    let scenario = scenarios.iter().find(|scenario| scenario.id == id);
    scenario.expect("a scenario of this name").play(subject)
}
