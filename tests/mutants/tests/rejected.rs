//! The judge rejects every planted fault, for the right reason, and with a script that is short enough to be read.
//!
//! `TABLE.md` shows them; `UPDATE=1` writes it anew. `MUTANT=no-claim` looks at one fault only.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::judge::{Violation, verdict};
use token_refresh_conformance::script::{Script, World};
use token_refresh_conformance::shrink::Shrinking;
use token_refresh_mutants::{MORE, MUTANTS, Mutant, MutantSubject, PROTOCOL, plant};

/// So many random scripts of each family may pass before a fault counts as not found.
const SCRIPTS: u64 = 20_000;
const FAMILIES: [Family; 3] = [Family::Memory, Family::Stored, Family::Several];
/// So many failing scripts are made small, of which the smallest is kept;
const FEW: usize = 6;
/// and so many if it is still too long.
const MANY: usize = 400;
/// So many scripts are tried before the smallest of fewer will do.
const ENOUGH: usize = 6_000;
/// What needs more: a presentation that is refused, and given up before that is known, while the next claim is written.
const LONGER: [(&str, usize); 1] = [("exchange-beside-refusal", 13)];

#[test]
fn every_planted_fault_is_rejected_for_the_right_reason_by_a_short_script() {
    let only = std::env::var("MUTANT").ok();
    let wanted: Vec<&Mutant> =
        MUTANTS.iter().filter(|mutant| only.as_ref().is_none_or(|only| only == mutant.id)).collect();
    let rejections = reject(&wanted);
    let escaped: Vec<&String> = rejections.iter().filter_map(|rejection| rejection.as_ref().err()).collect();
    assert!(escaped.is_empty(), "not rejected, or for another reason: {escaped:#?}");
    let rejections: Vec<&Rejection> = rejections.iter().flatten().collect();
    let long: Vec<String> = rejections
        .iter()
        .filter(|rejection| !rejection.is_short())
        .map(|rejection| format!("{} ({})\n{}", rejection.mutant.id, rejection.rule, rejection.script))
        .collect();
    assert!(long.is_empty(), "{} scripts are too long:\n{}", long.len(), long.join("\n"));
    if only.is_none() {
        compare(&table(&rejections));
    }
}

#[test]
fn every_planted_fault_has_a_name_of_its_own() {
    let mut names: Vec<&str> = MUTANTS.iter().chain(MORE).map(|mutant| mutant.id).collect();
    names.sort_unstable();
    let twice: Vec<&[&str]> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// A fault, and the smallest script that was found for it.
struct Rejection {
    mutant: &'static Mutant,
    rule: &'static str,
    script: Script,
}

impl Rejection {
    /// Whether a person can follow it: a short story, or a longer one if there are several who act.
    fn is_short(&self) -> bool {
        let longer = LONGER.iter().find(|(id, _)| *id == self.mutant.id).map(|(_, steps)| *steps);
        let usual = if self.script.world.processes == 1 { 8 } else { 14 };
        self.script.steps.len() <= longer.unwrap_or(usual)
    }

    fn size(&self) -> (bool, u8, usize) {
        (!self.is_short(), self.script.world.processes, self.script.steps.len())
    }
}

/// In the order of the table; of a fault that was not found, what else was cited.
fn reject(mutants: &[&'static Mutant]) -> Vec<Result<Rejection, String>> {
    // A machine that panics is rejected like any other; its words are of no use here.
    std::panic::set_hook(Box::new(|_| {}));
    let corpus = corpus();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = mutants.get(index) else { break };
                    let rejection = hunt(mutant, &corpus);
                    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    found.push((index, rejection));
                }
            });
        }
    });
    drop(std::panic::take_hook());
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, rejection)| rejection).collect()
}

/// Looks for scripts that make the fault break one of its rules, and makes the first few of them small.
fn hunt(mutant: &'static Mutant, corpus: &[Script]) -> Result<Rejection, String> {
    plant(Some(mutant));
    let mut cited = Vec::new();
    let mut best: Option<Rejection> = None;
    let mut tried = 0;
    let random = (0..SCRIPTS).flat_map(|seed| FAMILIES.map(|family| script(family, 40, seed)));
    for (index, script) in corpus.iter().cloned().chain(random).enumerate() {
        let violations = verdict::<MutantSubject>(&script);
        if rightly(mutant, &violations).is_some() {
            let small = smallest(mutant, script);
            if best.as_ref().is_none_or(|best| small.size() < best.size()) {
                best = Some(small);
            }
            tried += 1;
        } else {
            cited.extend(violations.iter().map(|violation| violation.rule));
        }
        let short = best.as_ref().is_some_and(Rejection::is_short);
        if tried == MANY || (short && (tried >= FEW || index >= ENOUGH)) {
            break;
        }
    }
    cited.sort_unstable();
    cited.dedup();
    best.ok_or_else(|| format!("{}: {}; cited were {cited:?}", mutant.id, mutant.says))
}

/// The first of the rules that it was built to break, if it is among these.
fn rightly(mutant: &Mutant, violations: &[Violation]) -> Option<&'static str> {
    violations.iter().map(|violation| violation.rule).find(|rule| mutant.breaks.contains(rule))
}

fn smallest(mutant: &'static Mutant, script: Script) -> Rejection {
    let rule = |script: &Script| rightly(mutant, &verdict::<MutantSubject>(script));
    let mut shrinking = Shrinking::new(script);
    while if rule(shrinking.candidate()).is_some() { shrinking.failed() } else { shrinking.passed() } {}
    let script = shrinking.candidate().clone();
    Rejection { mutant, rule: rule(&script).expect("the smallest script fails too"), script }
}

/// The page that people read.
fn table(rejections: &[&Rejection]) -> String {
    let mut page = format!(
        "# Planted faults\n\nOne fault at a time is planted in the real machine, and the judge has to reject it, by a rule \
         that it was built to break.\nThe script is the smallest that was found; what its world does not say is as in the \
         default one, and a script without steps fails by what follows every script.\nThis file is written by \
         `UPDATE=1 cargo test -p token-refresh-mutants --test rejected`.\n\n## {} found by scripts\n\n\
         | fault | what is wrong | rule | steps | smallest script |\n| --- | --- | --- | --- | --- |\n",
        rejections.len()
    );
    for Rejection { mutant, rule, script } in rejections {
        let story: Vec<String> = std::iter::once(world(&script.world))
            .chain(script.steps.iter().map(ToString::to_string))
            .collect();
        let story: Vec<String> = story.iter().map(|line| format!("`{line}`")).collect();
        page += &format!(
            "| {} | {} | {rule} | {} | {} |\n",
            mutant.id,
            mutant.says,
            script.steps.len(),
            story.join("<br>")
        );
    }
    page += &format!(
        "\n## {} found by exploration\n\nThese need clocks that differ, a store that commits without comparing, or a \
         pause at a certain point.\n`tests/hunted.rs` finds them in small worlds of which every history is looked at; {} of \
         those above are found there too.\n\n| fault | what is wrong |\n| --- | --- |\n",
        MORE.len(),
        PROTOCOL.len()
    );
    for mutant in MORE {
        page += &format!("| {} | {} |\n", mutant.id, mutant.says);
    }
    page
}

/// What a world says that the default one does not.
fn world(world: &World) -> String {
    let default = World::default().to_string();
    let default: Vec<&str> = default.split(' ').collect();
    let text = world.to_string();
    let said = text.split(' ').skip(1).filter(|word| !default.contains(word));
    std::iter::once("world").chain(said).collect::<Vec<_>>().join(" ")
}

fn compare(table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("TABLE.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, table).expect("TABLE.md can be written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    for (line, (is, should)) in (1..).zip(written.lines().zip(table.lines())) {
        assert_eq!(is, should, "TABLE.md, line {line}: UPDATE=1 writes it anew");
    }
    assert_eq!(written.lines().count(), table.lines().count(), "TABLE.md: UPDATE=1 writes it anew");
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
