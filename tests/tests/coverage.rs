//! Every requirement of the catalogue has a test that carries its id, or a reason why not; `coverage.md` says which.
//!
//! `UPDATE=1 cargo test -p token-refresh-conformance --test coverage` writes it anew.

#[path = "coverage/sources.rs"]
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use sources::{Kind, Sources, root};
use token_refresh_conformance::catalogue::{self, Requirement};

const FILE: &str = "tests/coverage.md";

/// Requirements without a test.
const WAIVERS: &[(&str, &str)] = &[
    ("AUTH-07", "no DPoP: an access token that is bound to a key is refused on receipt (AUTH-02)"),
    (
        "XREQ-08",
        "no DPoP: see AUTH-07; a client certificate is a setting of the HTTP client that the exchange uses",
    ),
    ("XRSP-07", "no DPoP: see AUTH-07"),
    ("XRSP-14", "no DPoP: see AUTH-07"),
];

#[test]
fn every_requirement_has_a_test() {
    let sources = Sources::read();
    let covered = sources.by_id();
    let mut wrong = Vec::new();
    for id in ids() {
        match (covered.contains_key(id), waiver(id)) {
            (false, None) => wrong.push(format!("{id} has no test")),
            (true, Some(_)) => wrong.push(format!("{id} has a test and needs no waiver")),
            (true, None) | (false, Some(_)) => {}
        }
    }
    wrong.extend(
        covered.keys().filter(|id| catalogue::find(id).is_none()).map(|id| format!("{id} is no requirement")),
    );
    wrong.extend(
        sources.not_run().map(|(name, path)| format!("{name} in {path} looks like a test and is none")),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_is_up_to_date() {
    let (path, table) = (root().join(FILE), table(&Sources::read()));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, table).expect("the table can be written");
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differing = committed.lines().zip(table.lines()).find(|(committed, found)| committed != found);
    assert!(
        committed == table,
        "{FILE} is not up to date (at {differing:?}): run with UPDATE=1 and look at the difference"
    );
}

/// `VERIFICATION.md` says for each invariant, and for each rule of the claim protocol, by which method it is checked.
#[test]
fn every_invariant_and_every_rule_has_a_method() {
    let text = fs::read_to_string(root().join("VERIFICATION.md")).expect("it is there");
    let rows = text.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('|').nth(1));
    let named: BTreeSet<String> = rows.flat_map(named).collect();
    let invariants = catalogue::invariants().iter().map(|invariant| invariant.id.to_owned());
    let rules = (1..=13).map(|rule| format!("rule {rule}"));
    let missing: Vec<String> = invariants.chain(rules).filter(|id| !named.contains(id)).collect();
    assert!(missing.is_empty(), "VERIFICATION.md has no row for {missing:?}");
}

/// What a cell names: `I-01, I-04 to I-06, rules 1 to 13`.
fn named(cell: &str) -> Vec<String> {
    let (mut named, mut prefix) = (Vec::new(), "");
    for part in cell.split([',', ':']).map(str::trim) {
        let mut ends = part.split(" to ").map(|end| {
            let rule = end.strip_prefix("rules ").or(end.strip_prefix("rule "));
            let number =
                end.strip_prefix("I-").inspect(|_| prefix = "I-").or(rule.inspect(|_| prefix = "rule "));
            number.unwrap_or(end).parse::<u32>().ok()
        });
        let first = ends.next().flatten();
        let last = ends.next().unwrap_or(first);
        for number in first.zip(last).map_or(0..=0, |(first, last)| first..=last).filter(|number| *number > 0)
        {
            named.push(if prefix == "I-" { format!("I-{number:02}") } else { format!("{prefix}{number}") });
        }
    }
    named
}

fn ids() -> impl Iterator<Item = &'static str> {
    let requirements = catalogue::requirements().iter().map(|requirement| requirement.id);
    requirements.chain(catalogue::invariants().iter().map(|invariant| invariant.id))
}

fn waiver(id: &str) -> Option<&'static str> {
    WAIVERS.iter().find(|(waived, _)| *waived == id).map(|(_, reason)| *reason)
}

fn table(sources: &Sources) -> String {
    let mut text = String::new();
    let covered = sources.by_id();
    text.push_str(HEAD);
    for (adapter, ways) in sources.adapters() {
        let _ = writeln!(text, "- {adapter}: {}", ways.join(", "));
    }
    let mut group = "";
    for requirement in catalogue::requirements() {
        if requirement.group() != group {
            group = requirement.group();
            let _ = writeln!(text, "\n## {group}");
        }
        let Requirement { id, level, condition, .. } = requirement;
        let condition = condition.map(|condition| format!(", {condition}")).unwrap_or_default();
        let _ = writeln!(text, "\n### {id} ({level}{condition})\n");
        write_tests(&mut text, id, &covered, sources);
    }
    text.push_str("\n## Invariants\n");
    for invariant in catalogue::invariants() {
        let _ = writeln!(text, "\n### {} ({})\n", invariant.id, invariant.title);
        write_tests(&mut text, invariant.id, &covered, sources);
    }
    text
}

const HEAD: &str = "\
# Which test tests which requirement

Written by `tests/tests/coverage.rs` from the names of the tests; do not edit.
Requirements and invariants are those of [the catalogue](REQUIREMENTS.md).

- *adapters*: a rule that runs over real sockets through every way to use each of the adapters listed here, or through those that are named.
- *judge*: a rule of the judge, which every script of the kit is held to, random ones and regressions; with the number of planted faults that it has to find.
- A folder: a test of this package.

The adapters, and the ways to use them:

";

fn write_tests(text: &mut String, id: &str, covered: &BTreeMap<String, Vec<usize>>, sources: &Sources) {
    if let Some(reason) = waiver(id) {
        let _ = writeln!(text, "- waived: {reason}");
    }
    for test in covered.get(id).into_iter().flatten().map(|index| &sources.tests[*index]) {
        let who = match &test.kind {
            Kind::Rule { by } => format!("adapters{by}"),
            Kind::Judge { faults: 0 } => "judge".to_owned(),
            Kind::Judge { faults } => format!("judge, {faults} planted faults"),
            Kind::Test => package(&test.path).to_owned(),
        };
        let link = Path::new(&test.path)
            .strip_prefix("tests")
            .map_or_else(|_| format!("../{}", test.path), |within| within.display().to_string());
        let _ = writeln!(text, "- {who}: [`{}`]({link})", test.name);
    }
}

fn package(path: &str) -> &str {
    ["/src/", "/tests/", "/examples/"]
        .iter()
        .find_map(|folder| path.split_once(folder))
        .map_or(path, |(package, _)| package)
}
