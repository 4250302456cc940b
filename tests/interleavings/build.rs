//! Copies the driver twice, once for each model checker, and plants the faults of `src/faults.rs` in the copies, each
//! behind a switch that is off.

use std::path::{Path, PathBuf};
use std::{env, fs};

// What is said about a fault is of no use here.
#[allow(dead_code)]
#[path = "src/faults.rs"]
mod faults;

#[path = "../mutants/plant.rs"]
mod plant;

use faults::FAULTS;
use plant::{Fault, plant};

fn main() {
    let driver = Path::new("../../driver");
    for source in ["../../driver/src", "../../driver/docs", "../mutants/plant.rs", "src/faults.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for checker in ["loom", "shuttle"] {
        let copy = out.join(checker);
        let _ = fs::remove_dir_all(&copy);
        copy_folder(&driver.join("docs"), &copy.join("docs"), &|_, text| text);
        let source = |file: &Path, text: String| under(checker, file, text);
        copy_folder(&driver.join("src"), &copy.join("src"), &source);
    }
}

fn copy_folder(from: &Path, to: &Path, change: &dyn Fn(&Path, String) -> String) {
    fs::create_dir_all(to).expect("OUT_DIR can be written");
    for entry in fs::read_dir(from).expect("the driver has this folder") {
        let path = entry.expect("a folder can be read").path();
        let copy = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_folder(&path, &copy, change);
        } else {
            let text = fs::read_to_string(&path).expect("it is text");
            fs::write(copy, change(&path, text)).expect("OUT_DIR can be written");
        }
    }
}

/// A file of the driver as part of a module of this crate, over the locks and threads of the checker.
fn under(checker: &str, file: &Path, text: String) -> String {
    let name = file.strip_prefix("../../driver/src").expect("it is a file of the driver");
    if name == Path::new("sync.rs") {
        return format!("pub(crate) use crate::{checker}_sync::*;");
    }
    let faults: Vec<Fault<'_>> = (1..)
        .zip(FAULTS)
        .filter(|(_, fault)| name == Path::new(fault.file))
        .map(|(switch, fault)| Fault { switch, id: fault.id, place: fault.place, fault: fault.fault })
        .collect();
    // The tests of the driver are run in the driver, and what holds for a whole crate is said there.
    let text = text
        .replace("crate::", &format!("crate::under_{checker}::"))
        .replace("#[cfg(test)]", "#[cfg(any())]");
    let whole =
        |line: &&str| name != Path::new("lib.rs") || !line.starts_with("//!") && !line.starts_with("#![");
    let text: String = text.lines().filter(whole).flat_map(|line| [line, "\n"]).collect();
    let mut misplaced = Vec::new();
    let planted = plant(&text, &faults, &mut misplaced);
    assert!(misplaced.is_empty(), "faults have lost their place:\n{}", misplaced.join("\n"));
    planted
}
