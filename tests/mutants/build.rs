//! Copies the core and plants the faults of `src/table.rs` in it, each behind a switch that is off.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

// What is said about a fault is of no use here.
#[allow(dead_code)]
#[path = "src/table.rs"]
mod table;

#[allow(dead_code)]
#[path = "src/claims.rs"]
mod claims;

use claims::MORE;
use table::{MUTANTS, Mutant};

/// A fault and the number of its switch.
type Fault = (u32, &'static Mutant);

fn main() {
    let core = Path::new("../../core/src");
    println!("cargo::rerun-if-changed={}", core.display());
    println!("cargo::rerun-if-changed=src/table.rs");
    println!("cargo::rerun-if-changed=src/claims.rs");
    let mut faults: BTreeMap<&str, Vec<Fault>> = BTreeMap::new();
    for (switch, mutant) in (1..).zip(MUTANTS.iter().chain(MORE)) {
        faults.entry(mutant.file).or_default().push((switch, mutant));
    }
    let mut misplaced = Vec::new();
    let mut copy = String::new();
    for part in parts(&fs::read_to_string(core.join("lib.rs")).expect("the core has a lib.rs")) {
        match part {
            Part::Line(line) => copy.push_str(&line),
            Part::Module(name) => {
                let file = format!("{name}.rs");
                let source = fs::read_to_string(core.join(&file)).expect("a module has a file");
                let faults = faults.remove(file.as_str()).unwrap_or_default();
                let planted = plant(&source, &faults, &mut misplaced);
                copy.push_str(&format!("mod {name} {{\n{planted}\n}}"));
            }
        }
        copy.push('\n');
    }
    misplaced.extend(faults.into_keys().map(|file| format!("the core has no {file}")));
    assert!(misplaced.is_empty(), "faults have lost their place:\n{}", misplaced.join("\n"));
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("core.rs"), copy).expect("OUT_DIR can be written");
}

/// What the root of the core is made of.
enum Part {
    Line(String),
    Module(String),
}

/// Inner attributes and documents belong to the crate, not to a copy of it; optional parts are left out.
fn parts(root: &str) -> Vec<Part> {
    let mut optional = false;
    let lines = root.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
    let parts = lines.filter_map(|line| {
        if line.starts_with("#[cfg(") {
            optional = true;
            return None;
        }
        let module = line.strip_prefix("mod ").or(line.strip_prefix("pub mod "));
        let part = match module.and_then(|rest| rest.strip_suffix(';')) {
            Some(name) => Part::Module(name.to_owned()),
            None => Part::Line(line.to_owned()),
        };
        (!std::mem::take(&mut optional)).then_some(part)
    });
    parts.collect()
}

/// Replaces the marked piece of each fault's place by a choice between it and the fault.
fn plant(source: &str, faults: &[Fault], misplaced: &mut Vec<String>) -> String {
    let mut pieces: BTreeMap<(usize, usize), Vec<Fault>> = BTreeMap::new();
    for fault in faults {
        match locate(source, fault.1) {
            Ok(piece) => pieces.entry(piece).or_default().push(*fault),
            Err(what) => misplaced.push(what),
        }
    }
    let mut planted = String::new();
    let mut copied = 0;
    for ((begin, end), faults) in pieces {
        if begin < copied {
            misplaced.push(format!("{}: its piece overlaps another one", faults[0].1.id));
            continue;
        }
        let piece = &source[begin..end];
        let choices: String = faults
            .iter()
            .map(|(switch, mutant)| format!("if crate::is_planted({switch}) {{ {} }} else ", mutant.fault))
            .collect();
        let choice = format!("{choices}{{ {piece} }}");
        planted.push_str(&source[copied..begin]);
        planted.push_str(&if piece.ends_with(';') { choice } else { format!("({choice})") });
        copied = end;
    }
    planted.push_str(&source[copied..]);
    planted
}

/// Where the piece that a fault replaces begins and ends.
fn locate(source: &str, mutant: &Mutant) -> Result<(usize, usize), String> {
    let id = mutant.id;
    let marked =
        mutant.place.split_once('«').and_then(|(before, rest)| Some((before, rest.split_once('»')?)));
    let (before, (piece, after)) = marked.ok_or_else(|| format!("{id}: no « » in its place"))?;
    let text = format!("{before}{piece}{after}");
    let mut found = source.match_indices(&text).map(|(at, _)| at + before.len());
    match (found.next(), found.next()) {
        (Some(begin), None) => Ok((begin, begin + piece.len())),
        (None, _) => Err(format!("{id}: {} has no\n    {text}", mutant.file)),
        (Some(_), Some(_)) => Err(format!("{id}: {} has more than one\n    {text}", mutant.file)),
    }
}
