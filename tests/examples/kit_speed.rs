//! How many scripts of 40 steps go through executor and judge in a second, on one thread.
//! `cargo run --release -p token-refresh-conformance --example kit_speed`

use std::{iter::successors, time::Instant};

use token_refresh_conformance::{
    CoreSubject,
    generate::{Family, from_numbers},
    judge::verdict,
    script::Script,
};

const STEPS: usize = 40;
const SCRIPTS: u64 = 20_000;

fn main() {
    println!("| family | scripts a second |\n| --- | --- |");
    for family in [Family::Memory, Family::Stored, Family::Several] {
        let scripts: Vec<_> = (0..SCRIPTS).map(|seed| script(family, seed)).collect();
        let begin = Instant::now();
        let violations: usize = scripts.iter().map(|script| verdict::<CoreSubject>(script).len()).sum();
        let rate = u128::from(SCRIPTS) * 1_000_000_000 / begin.elapsed().as_nanos();
        assert_eq!(violations, 0, "the core breaks a rule");
        println!("| {family:?} | {rate} |");
    }
}

/// A number is a step, or a few that lead somewhere; so many steps are left of them.
fn script(family: Family, seed: u64) -> Script {
    let next = |number: &u64| Some(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed * 2 + 1));
    let numbers: Vec<u64> = successors(Some(seed), next).skip(8).step_by(2).take(STEPS + 1).collect();
    // The lowest bits of such a row repeat soon.
    let numbers: Vec<u64> = numbers.iter().map(|number| number.rotate_right(32)).collect();
    let mut script = from_numbers(family, &numbers);
    script.steps.truncate(STEPS);
    script
}
