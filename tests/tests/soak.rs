//! The soak of `cargo run --release -p token-refresh-conformance --example soak`, for a few seconds.

use std::{
    path::Path,
    process::{Command, Output},
};

#[test]
fn a_soak_of_five_seconds_finds_nothing() {
    let here = std::env::current_exe().expect("a test is a program");
    let built = here.parent().and_then(Path::parent).expect("it lies in a folder of the target folder");
    let soak = built.join("examples").join("soak").with_extension(std::env::consts::EXE_EXTENSION);
    let Output { status, stdout, stderr } = Command::new(soak)
        .args(["--seconds", "5", "--callers", "60", "--seed", "1"])
        .output()
        .expect("the example was built along with the tests");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{out}{err}");
    println!("{out}");
}
