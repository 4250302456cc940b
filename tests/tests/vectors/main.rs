//! The frozen vectors are those that the machine of this workspace gives, and hold for any seed.
//! `UPDATE=1` writes them anew.

mod life;

use std::collections::BTreeSet;
use std::path::Path;

use life::{Life, Names};
use serde_json::Value;
use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::script::{Script, World};
use token_refresh_conformance::stage::{Local, Stage as _};

/// What differs among so many seeds is left to chance.
const SEEDS: u64 = 16;
const FILES: [(&str, Family, usize); 3] = [
    ("memory.jsonl", Family::Memory, 180),
    ("stored.jsonl", Family::Stored, 160),
    ("several.jsonl", Family::Several, 160),
];

#[test]
fn the_frozen_vectors_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for (file, family, count) in FILES {
        let lives = select(family, count);
        let path = folder.join(file);
        if std::env::var_os("UPDATE").is_some() {
            let text: Vec<String> = lives.iter().map(Life::to_string).collect();
            std::fs::create_dir_all(&folder).expect("the folder can be made");
            std::fs::write(&path, text.join("\n") + "\n").expect("the file can be written");
        }
        let frozen = read(&path);
        for (number, (life, frozen)) in (1..).zip(lives.iter().zip(&frozen)) {
            assert_eq!(life.written(), *frozen, "{file}, line {number}; UPDATE=1 writes the vectors anew");
        }
        assert_eq!(
            (lives.len(), frozen.len()),
            (count, count),
            "of {file}; UPDATE=1 writes the vectors anew"
        );
    }
}

/// What the document tells an implementer to do with a vector, done for machines with other seeds.
#[test]
fn every_vector_holds_for_any_seed() {
    for (file, ..) in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
        for (number, vector) in (1..).zip(read(&path)) {
            for seed in [u64::from(u32::MAX), 77] {
                play(&vector, seed)
                    .unwrap_or_else(|what| panic!("{file}, line {number}, seed {seed}: {what}"));
            }
        }
    }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

fn play(vector: &Value, seed: u64) -> Result<(), String> {
    let settings = serde_json::from_value(vector["settings"].clone()).map_err(|error| error.to_string())?;
    let calls = vector["calls"].as_array().ok_or("no calls")?;
    let mut machines = Local::<CoreSubject>::default();
    let mut names = Names::default();
    machines
        .start(0, &settings, seed, vector["start"].as_u64().ok_or("no start")?)
        .map_err(|error| error.to_string())?;
    for call in calls {
        let now = call["now"].as_u64().ok_or("no instant")?;
        let input = names.own(&call["input"]);
        let input = serde_json::from_value(input).map_err(|error| format!("{error}: {call}"))?;
        let reply = machines.call(0, &input, now).map_err(|error| error.to_string())?;
        let reply = names.numbered(life::reply(&reply));
        if !matches(&call["reply"], &reply) {
            return Err(format!("{call} is answered by {reply}"));
        }
    }
    Ok(())
}

/// Whether this is what was expected: `"?"` may be any number.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), Value::Number(_)) if any == "?" => true,
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| matches(expected, found))
        }
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(name, expected)| found.get(name).is_some_and(|found| matches(expected, found)))
        }
        _ => expected == found,
    }
}

/// Short lives first, and only those in which something happens that happened in none before.
fn select(family: Family, count: usize) -> Vec<Life> {
    let mut seen = BTreeSet::new();
    let mut selected: Vec<Life> = Vec::new();
    for (steps, seeds) in [(3, 200), (6, 400), (12, 1_500), (24, 1_500), (40, 1_500)] {
        for seed in 0..seeds {
            let script = script(family, steps, seed);
            for life in lives(&script, &seen) {
                if selected.len() == count {
                    return selected;
                }
                if life.events().any(|event| !seen.contains(&event)) {
                    seen.extend(life.events());
                    selected.push(life);
                }
            }
        }
    }
    selected
}

/// The lives of all machines of a script, as far as chance does not matter, if something new happens in one.
fn lives(script: &Script, seen: &BTreeSet<String>) -> Vec<Life> {
    let with_seed = |seed| {
        let script = Script { world: World { seed, ..script.world.clone() }, steps: script.steps.clone() };
        Life::of(&run::<CoreSubject>(&script))
    };
    let first = with_seed(0);
    if first.iter().flat_map(Life::events).all(|event| seen.contains(&event)) {
        return Vec::new();
    }
    let all: Vec<Vec<Life>> = std::iter::once(first).chain((1..SEEDS).map(with_seed)).collect();
    let count = all.iter().map(Vec::len).min().unwrap_or_default();
    (0..count)
        .filter_map(|index| Life::merged(&all.iter().map(|lives| &lives[index]).collect::<Vec<_>>()))
        .collect()
}
