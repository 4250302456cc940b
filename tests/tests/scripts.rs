//! Scripts as text: what once failed does not fail again, and every script survives being written down.

use std::path::Path;

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::judge::verdict;
use token_refresh_conformance::script::Script;

#[test]
fn what_once_failed_keeps_the_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut replayed = 0;
    for file in folder.read_dir().expect("there is a folder of regressions") {
        let path = file.expect("it can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a script is text");
        let script: Script = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let violations = verdict::<CoreSubject>(&script);
        assert!(
            violations.is_empty(),
            "{}: {violations:#?}\n{}",
            path.display(),
            run::<CoreSubject>(&script)
        );
        replayed += 1;
    }
    assert!(replayed >= 10, "only {replayed} scripts were found");
}

#[test]
fn a_script_that_is_printed_and_read_is_the_same() {
    for family in [Family::Memory, Family::Stored, Family::Several] {
        for seed in 0..2_000 {
            let script = script(family, 40, seed);
            assert_eq!(script.to_string().parse(), Ok(script));
        }
    }
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    for (text, line) in
        [("A wants\nA dances", 2), ("\n\nwait five", 3), ("world colour=blue", 1), ("D wants", 1)]
    {
        let error = text.parse::<Script>().expect_err(text);
        assert_eq!(error.line, line, "{error}");
    }
}
