//! What the fuzzers found worth keeping keeps its promises.

use std::path::Path;
use std::{fs, panic};

use token_refresh_fuzz::{TARGETS, Target};

#[test]
fn every_committed_input_keeps_its_promise() {
    for Target { name, run } in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs = 0;
        for file in files {
            let path = file.expect("it can be listed").path();
            let input = fs::read(&path).expect("it can be read");
            panic::catch_unwind(|| run(&input)).unwrap_or_else(|_| panic!("{} fails", path.display()));
            inputs += 1;
        }
        println!("{name}: {inputs} inputs");
        assert!(inputs > 10, "{name} has a corpus of {inputs} inputs only");
    }
}
