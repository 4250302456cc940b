//! The command-line tool against machines in other processes, good and bad ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An example of this package, which `cargo test` builds along with the tests.
fn example(name: &str) -> String {
    let here = std::env::current_exe().expect("a test is a program");
    let built = here.parent().and_then(Path::parent).expect("it lies in a folder of the target folder");
    let program = built.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "build it first: cargo build -p token-refresh-conformance --examples");
    program.display().to_string()
}

/// A folder of its own for each test: the tool writes what fails to the current one.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

fn tool(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_token-refresh-conformance"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the tool starts");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

#[test]
fn a_right_machine_conforms_on_the_other_side_of_a_pipe_too() {
    let folder = folder("right");
    let (code, out, err) = tool(&folder, &["machine", "--cases", "60", "--", &example("core_machine")]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.contains("conforms"), "{err}");
    assert!(!folder.join("conformance-failures").exists());
}

#[test]
fn a_run_that_plays_nothing_says_so() {
    let (code, out, err) =
        tool(&folder("nothing"), &["machine", "--cases", "0", "--", &example("core_machine")]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("nothing was shown") && !err.contains("conform"), "{err}");
}

#[test]
fn a_fault_is_shown_by_a_small_script_that_can_be_played_again() {
    let folder = folder("late-refusals");
    let faulty = example("faulty_machine");
    let reports = ["--report", "out.html", "--json", "out.json", "--junit", "out.xml"];
    let run = ["machine", "--cases", "100", "--only", "I-07,I-08", "--", &faulty, "late-refusals"];
    let run: Vec<&str> = run[..1].iter().chain(&reports).chain(&run[1..]).copied().collect();
    let (code, out, err) = tool(&folder, &run);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("I-07 is broken: "), "{out}");
    let file = folder.join("conformance-failures/I-07.script");
    let text = std::fs::read_to_string(&file).expect("the script was written");
    let script: token_refresh_conformance::script::Script = text.parse().expect("it is a script");
    assert!(script.steps.len() <= 3, "{text}");
    for report in ["out.html", "out.json", "out.xml"] {
        let written = std::fs::read_to_string(folder.join(report)).expect("the report was written");
        assert!(written.contains("I-07"), "{report}: {written}");
    }
    let file = file.display().to_string();
    let (code, out, _) = tool(&folder, &["machine", "--replay", &file, "--", &faulty, "late-refusals"]);
    assert!(code == 1 && out.contains("I-07 is broken: "), "{out}");
    let (code, out, err) = tool(&folder, &["machine", "--replay", &file, "--", &example("core_machine")]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
}

#[test]
fn i_25_a_program_that_fails_to_answer_is_a_verdict() {
    for (fault, says) in [
        ("hangs", "gives no answer within"),
        ("crashes", "ends without an answer (exit status: 7)"),
        ("garbage", "answers refused? Reject("),
        ("endless-line", "writes a line of more than 1048576 bytes"),
        ("babbles", "answers \"started\", and not with \"reply\""),
    ] {
        let (code, out, err) =
            tool(&folder(fault), &["machine", "--cases", "20", "--", &example("faulty_machine"), fault]);
        assert_eq!(code, 1, "{fault}: {out}{err}");
        assert!(out.contains("I-25 is broken: the program ") && out.contains(says), "{fault}: {out}");
        let last_words = err.contains("something is wrong with the subject");
        assert_eq!(last_words, fault == "crashes", "{fault}: {err}");
    }
}

#[test]
fn a_client_that_says_no_hello_is_shown_with_its_standard_error() {
    let no_client = env!("CARGO_BIN_EXE_token-refresh-conformance");
    let (code, out, err) = tool(&folder("no-hello"), &["client", "--", no_client, "frobnicate"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for part in ["the program has ended", "tests/PROTOCOL.md", "there is no subcommand \"frobnicate\""] {
        assert!(err.contains(part), "{err}");
    }
}

#[test]
fn only_takes_no_id_that_stands_for_nothing() {
    let folder = folder("only");
    for (subcommand, id) in [("machine", "I-99"), ("client", "I-07"), ("list", "I-07,")] {
        let (code, _, err) = tool(&folder, &[subcommand, "--only", id, "--", "no-such-program"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("is the beginning of no id that is tested"), "{err}");
    }
}

#[test]
fn what_is_listed_is_what_the_subcommand_tests() {
    let folder = folder("list");
    let listed = |arguments: &[&str]| tool(&folder, arguments).1;
    let (machine, client) = (listed(&["machine", "--list"]), listed(&["client", "--list"]));
    assert!(machine.contains("\nI-07 ") && !client.contains("\nI-07 "), "{client}");
    assert_eq!(listed(&["list"]), machine + &client);
}

#[test]
fn a_program_that_cannot_be_tested_is_told_what_to_do() {
    let folder = folder("untestable");
    for (program, says) in [
        (vec!["no-such-program"], "Is it there, and may it be run?"),
        (vec![env!("CARGO_BIN_EXE_token-refresh-conformance"), "list"], "see tests/PROTOCOL.md"),
        (
            vec![&example("faulty_machine"), "other-version"],
            "speaks version 9, and this kit speaks version 1",
        ),
    ] {
        let arguments: Vec<&str> = ["machine", "--"].into_iter().chain(program.iter().copied()).collect();
        let (code, out, err) = tool(&folder, &arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(says), "{err}");
    }
}
