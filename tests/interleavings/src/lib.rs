//! The driver over locks and threads whose order a model checker chooses.
//!
//! Tests with threads see the orders that happen. Here the real sources of the driver are copied at build time, over
//! the locks, atomics and threads of [loom], which tries every order of a few steps and every value that an atomic may
//! be read as, and of [shuttle], which tries many orders of longer runs, by seeds that are always the same.
//! `ORDERS=100` tries so many times as many.
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle

#![cfg(test)]

use std::{
    env,
    process::{Command, Stdio},
    sync::LazyLock,
};

#[allow(dead_code, reason = "the build script uses the rest")]
mod faults;
mod loom_sync;
mod shuttle_sync;
mod under_loom;
mod under_shuttle;

use faults::FAULTS;

/// Names the fault that is planted. For a process, since a checker that finds a deadlock may take its process along.
const FAULT: &str = "FAULT";

fn is_planted(switch: u32) -> bool {
    static PLANTED: LazyLock<u32> = LazyLock::new(|| {
        let Ok(id) = env::var(FAULT) else { return 0 };
        (1..).zip(FAULTS).find(|(_, fault)| fault.id == id).expect("it is in the table").0
    });
    *PLANTED == switch
}

#[test]
fn each_planted_fault_is_found() {
    let tests = env::current_exe().expect("these tests are a program");
    for fault in FAULTS {
        for name in fault.found_by {
            let mut test = Command::new(&tests);
            test.args([name, "--exact"]).env(FAULT, fault.id).stdout(Stdio::null()).stderr(Stdio::null());
            let passed = test.status().expect("it can be started").success();
            assert!(!passed, "{}: {}, and {name} passes", fault.id, fault.says);
        }
    }
}
