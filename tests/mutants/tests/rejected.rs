//! The judge rejects every planted fault, and for the right reason.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::judge::verdict;
use token_refresh_conformance::script::Script;
use token_refresh_mutants::{MUTANTS, Mutant, MutantSubject, plant};

/// So many random scripts of each family may pass before a fault counts as not found.
const SCRIPTS: u64 = 20_000;
const FAMILIES: [Family; 3] = [Family::Memory, Family::Stored, Family::Several];

#[test]
fn every_planted_fault_is_rejected_for_the_right_reason() {
    // A machine that panics is rejected like any other; its words are of no use here.
    std::panic::set_hook(Box::new(|_| {}));
    let corpus = corpus();
    let next = AtomicUsize::new(0);
    let escaped = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(mutant) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(cited) = hunt(mutant, &corpus) {
                        let mut escaped = escaped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        escaped.push(format!("{}: {}; cited were {cited:?}", mutant.id, mutant.says));
                    }
                }
            });
        }
    });
    let escaped = escaped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    drop(std::panic::take_hook());
    assert!(escaped.is_empty(), "not rejected, or for another reason: {escaped:#?}");
}

/// Looks for a script that makes the fault break one of its rules; says what else was cited if there is none.
fn hunt(mutant: &Mutant, corpus: &[Script]) -> Result<(), Vec<&'static str>> {
    plant(Some(mutant));
    let mut cited = Vec::new();
    let random = (0..SCRIPTS).flat_map(|seed| FAMILIES.map(|family| script(family, 40, seed)));
    for script in corpus.iter().cloned().chain(random) {
        for violation in verdict::<MutantSubject>(&script) {
            if mutant.breaks.contains(&violation.rule) {
                return Ok(());
            }
            if !cited.contains(&violation.rule) {
                cited.push(violation.rule);
            }
        }
    }
    Err(cited)
}

/// The scripts that once failed.
fn corpus() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions");
    let files = folder.read_dir().expect("there is a folder of regressions");
    let paths = files.map(|file| file.expect("it can be listed").path());
    let texts = paths.map(|path| std::fs::read_to_string(path).expect("a script is text"));
    texts.map(|text| text.parse().expect("it can be read")).collect()
}

#[test]
fn the_copy_without_fault_behaves_as_the_core() {
    plant(None);
    for family in FAMILIES {
        for seed in 0..200 {
            let script = script(family, 40, seed);
            assert_eq!(
                run::<MutantSubject>(&script).entries,
                run::<CoreSubject>(&script).entries,
                "{script}"
            );
        }
    }
}
