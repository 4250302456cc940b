//! What the READMEs show as a whole program is one: the example, which is compiled. It runs as a documentation test.
#![allow(clippy::unwrap_used)]

const PROGRAMS: [(&str, &str); 4] = [
    (include_str!("../../core/README.md"), include_str!("../examples/start_core.rs")),
    (
        include_str!("../../transport-ureq/README.md"),
        include_str!("../../transport-ureq/examples/start_ureq.rs"),
    ),
    (
        include_str!("../../transport-reqwest/README.md"),
        include_str!("../../transport-reqwest/examples/start_reqwest.rs"),
    ),
    (
        include_str!("../../transport-hyper/README.md"),
        include_str!("../../transport-hyper/examples/start_hyper.rs"),
    ),
];

#[test]
fn the_programs_in_the_readmes_are_the_examples() {
    for (readme, example) in PROGRAMS {
        let (_, section) = readme.split_once("## Start in five minutes").unwrap();
        let (_, program) = section.split_once("```rust\n").unwrap();
        let (program, _) = program.split_once("```\n").unwrap();
        // The first lines say what the file is.
        let (_, example) = example.split_once("\n\n").unwrap();
        assert_eq!(program, example);
    }
}
