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

#[path = "plant.rs"]
mod plant;

use claims::MORE;
use plant::{Fault, plant};
use table::MUTANTS;

fn main() {
    let core = Path::new("../../core/src");
    println!("cargo::rerun-if-changed={}", core.display());
    println!("cargo::rerun-if-changed=src/table.rs");
    println!("cargo::rerun-if-changed=src/claims.rs");
    println!("cargo::rerun-if-changed=plant.rs");
    let mut faults: BTreeMap<&str, Vec<Fault<'_>>> = BTreeMap::new();
    for (switch, mutant) in (1..).zip(MUTANTS.iter().chain(MORE)) {
        let fault = Fault { switch, id: mutant.id, place: mutant.place, fault: mutant.fault };
        faults.entry(mutant.file).or_default().push(fault);
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
