//! The transition table of the machine, produced from the machine itself.
//!
//! Every state of [`MEMORY`] and [`SHARED`] meets every input of [`INPUTS`], through the public API alone; what happens
//! stands in `transitions.txt`. So a change of behaviour is a difference in that file, which can be read and reviewed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod claims;
mod picture;
mod states;
mod world;

use std::{collections::BTreeSet, fs};

use token_refresh_core::Persistence;

use crate::world::World;

/// What a machine can be told. Time stands still, unless the input says otherwise.
const INPUTS: [&str; 40] = [
    "acquire",
    "acquire when due", // when the machine said that it tries again; a second later if it did not say
    "reject current",
    "reject older",
    "reject other epoch",
    "accept current",
    "cancel",
    "sign_in",
    "sign_out",
    "reset",
    "retry time",
    "timeout", // at the instant that `poll_timeout` says
    "loaded nothing",
    "loaded as known",
    "loaded what was unanswered",
    "loaded newer",
    "loaded foreign claim",
    "loaded refused",
    "loaded signed out",
    "loaded other identity",
    "loaded stale",
    "load unavailable",
    "committed",
    "commit conflict",
    "commit unavailable",
    "granted",
    "not sent",
    "not sent in time",
    "ambiguous",
    "ambiguous, try later",
    "transient",
    "unexplained",
    "refused",
    "interaction",
    "misconfigured",
    "invalid request",
    "invalid scope",
    "abandoned",
    "late granted", // the answer to an exchange that was given up or orphaned
    "late refused",
];

/// The states worth telling apart, as `[state, how to get there: from which state, by which inputs]`. Before the colon
/// stands what the machine says itself, after it what matters besides.
const MEMORY: [[&str; 3]; 21] = [
    ["Idle: new", "", ""],
    ["Idle: token fresh", "Idle: new", "sign_in"],
    ["Idle: token fresh, no refresh token", "Idle: new", "sign_in without refresh token"],
    ["Idle: token past its soft end", "Idle: token fresh", "soft end"],
    ["Idle: token past its hard end", "Idle: token fresh", "hard end"],
    ["Idle: token refused", "Failed(Transient, At)", "retry time"],
    ["Refreshing(Exchange): token serves", "Idle: token past its soft end", "acquire"],
    ["Refreshing(Exchange): caller waits", "Idle: token fresh", "reject current"],
    ["Refreshing(Exchange): second presentation", "Refreshing(Exchange): caller waits", "ambiguous"],
    ["Refreshing(Exchange): earlier one given up", "Refreshing(Exchange): caller waits", "timeout"],
    ["Idle: an exchange orphaned", "Refreshing(Exchange): caller waits", "sign_in"],
    ["Failed(NoCredentials, Never)", "Idle: new", "acquire"],
    ["Failed(NoRefreshToken, Never)", "Idle: token fresh, no refresh token", "reject current"],
    ["Failed(Transient, At)", "Refreshing(Exchange): caller waits", "transient"],
    ["Failed(Transient, At): token serves", "Refreshing(Exchange): token serves", "transient"],
    ["Failed(Uncertain, At)", "Refreshing(Exchange): second presentation", "ambiguous"],
    ["Failed(Refused, Never)", "Refreshing(Exchange): caller waits", "refused"],
    ["Failed(Interaction, Never)", "Refreshing(Exchange): caller waits", "interaction"],
    ["Failed(Misconfigured, At)", "Refreshing(Exchange): caller waits", "misconfigured"],
    [
        "Failed(RefusedAfterRefresh, At)",
        "Refreshing(Exchange): caller waits",
        "granted, reject current, granted, reject current",
    ],
    ["Failed(SignedOut, Never)", "Idle: token fresh", "sign_out"],
];

const SHARED: [[&str; 3]; 31] = [
    ["Idle: new", "", ""],
    ["Idle: token fresh", "Refreshing(Load): new", "loaded newer"],
    ["Idle: token past its soft end", "Idle: token fresh", "soft end"],
    ["Idle: token past its hard end", "Idle: token fresh", "hard end"],
    ["Idle: sign-in unwritten", "Refreshing(Load): to sign in", "load unavailable"],
    ["Idle: token unsaved", "Refreshing(Load): grant in hand", "limit of saving, load unavailable"],
    ["Refreshing(Load): new", "Idle: new", "acquire"],
    ["Refreshing(Load): token serves", "Idle: token past its soft end", "acquire"],
    ["Refreshing(Load): caller waits", "Idle: token fresh", "reject current"],
    ["Refreshing(Load): foreign claim", "Refreshing(Load): caller waits", "loaded foreign claim"],
    ["Refreshing(Claim): token serves", "Refreshing(Load): token serves", "loaded as known"],
    ["Refreshing(Claim): caller waits", "Refreshing(Load): caller waits", "loaded as known"],
    ["Refreshing(Load): claim unanswered", "Refreshing(Claim): caller waits", "commit unavailable"],
    ["Refreshing(Exchange): token serves", "Refreshing(Claim): token serves", "committed"],
    ["Refreshing(Exchange): caller waits", "Refreshing(Claim): caller waits", "committed"],
    ["Refreshing(Load): exchange unanswered", "Refreshing(Exchange): caller waits", "ambiguous"],
    ["Refreshing(Save)", "Refreshing(Exchange): caller waits", "granted"],
    ["Refreshing(Load): grant in hand", "Refreshing(Save)", "commit unavailable"],
    ["Refreshing(Mark)", "Refreshing(Exchange): caller waits", "refused"],
    ["Refreshing(Release)", "Refreshing(Exchange): caller waits", "transient"],
    ["Refreshing(Load): to sign in", "Idle: new", "sign_in"],
    ["Refreshing(Establish): sign-in", "Refreshing(Load): to sign in", "loaded nothing"],
    ["Refreshing(Load): to sign out", "Idle: token fresh", "sign_out"],
    ["Refreshing(Establish): sign-out", "Refreshing(Load): to sign out", "loaded as known"],
    ["Failed(NoCredentials, Never)", "Refreshing(Load): new", "loaded nothing"],
    ["Failed(StoreUnavailable, At)", "Refreshing(Load): caller waits", "load unavailable"],
    ["Failed(Transient, At)", "Refreshing(Release)", "committed"],
    ["Failed(Transient, At): claim not given back", "Refreshing(Release)", "commit unavailable"],
    ["Failed(Refused, Never)", "Refreshing(Mark)", "committed"],
    ["Failed(SignedOut, Never)", "Refreshing(Establish): sign-out", "committed"],
    ["Failed(SignedOut, Never): unwritten", "Refreshing(Load): to sign out", "load unavailable"],
];

/// What stands above the table.
const HEADER: &str = "\
What the machine does: every state met by every input that can happen in it. Written by transitions/main.rs.
Columns: the input, the state after it, what the caller is answered and what the driver is told, in this order.
";

#[test]
fn the_table_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transitions.txt");
    let now: Vec<String> =
        HEADER.lines().map(str::to_owned).chain(table().iter().flat_map(Section::lines)).collect();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, now.join("\n") + "\n").expect("the table can be written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let committed: Vec<&str> = committed.lines().collect();
    let first = now.iter().zip(&committed).position(|(now, committed)| now != committed);
    let first = first.unwrap_or(now.len().min(committed.len()));
    assert!(
        now == committed,
        "the machine and {path} differ, first in line {}:\n  the machine: {:?}\n  the table:   {:?}\n\
         if the change is meant, write the table anew and review the difference:\n\
         UPDATE=1 cargo test -p token-refresh-core --test transitions",
        first + 1,
        now.get(first),
        committed.get(first),
    );
}

/// The pictures that README and documentation show are drawn from what the machine does.
#[test]
fn the_pictures_are_current() {
    for (name, now) in [("states", states::svg(&table())), ("claims", claims::svg())] {
        let path = format!("{}/docs/{name}.svg", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).expect("the picture can be written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            now == committed,
            "the machine and {path} differ; if the change is meant, draw it anew and look at it:\n\
             UPDATE=1 cargo test -p token-refresh-core --test transitions",
        );
    }
}

/// The picture of the states in the crate's documentation has all arrows that there are, and no other.
#[test]
fn the_documented_arrows_are_those_of_the_table() {
    let documentation = include_str!("../../src/lib.rs");
    let states = ["Idle", "Refreshing", "Failed"];
    let arrows = states.iter().flat_map(|from| states.map(|to| format!("{from} → {to}")));
    let documented: BTreeSet<String> = arrows.filter(|arrow| documentation.contains(arrow)).collect();

    let word = |label: &str| label.split(['(', ':']).next().unwrap_or_default().to_owned();
    let table = table();
    let found: BTreeSet<String> = table
        .iter()
        .flat_map(|section| section.rows.iter().map(|row| (section.state, row)))
        .map(|(state, row)| (word(state), word(&row.next)))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| format!("{from} → {to}"))
        .collect();
    assert_eq!(found, documented, "left: the machine; right: `from → to` in core/src/lib.rs");
}

/// What a machine in one state does with every input that can happen in it.
struct Section {
    title: String,
    state: &'static str,
    rows: Vec<Row>,
}

struct Row {
    input: &'static str,
    next: String,
    output: String,
}

fn table() -> Vec<Section> {
    let memory = MEMORY.map(|[state, ..]| Section::of(Persistence::Memory, &MEMORY, state));
    let shared = SHARED.map(|[state, ..]| Section::of(Persistence::Shared, &SHARED, state));
    memory.into_iter().chain(shared).collect()
}

impl Section {
    fn of(persistence: Persistence, states: &[[&str; 3]], state: &'static str) -> Self {
        let world = reach(persistence, states, state);
        let row = |input| {
            let mut world = world.clone();
            let output = world.meet(input)?;
            Some(Row { input, next: world.label(), output })
        };
        let title = format!("{persistence:?} | {state}");
        Self { title, state, rows: INPUTS.into_iter().filter_map(row).collect() }
    }

    fn lines(&self) -> Vec<String> {
        let here = label_of(self.state);
        let (silent, rows): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.output.is_empty() && row.next == here);
        let mut lines = vec![String::new(), self.title.clone()];
        lines.extend(rows.iter().map(|Row { input, next, output }| {
            format!("  {input:<26} {next:<36} {output}").trim_end().to_owned()
        }));
        let silent: Vec<&str> = silent.iter().map(|row| row.input).collect();
        if !silent.is_empty() {
            lines.push(format!("  nothing comes of: {}", silent.join(", ")));
        }
        lines
    }
}

/// Brings a new machine into this state, by way of the states before it.
fn reach(persistence: Persistence, states: &[[&str; 3]], state: &str) -> World {
    let [_, from, inputs] = states.iter().find(|[name, ..]| *name == state).expect("a state of the list");
    if from.is_empty() {
        return World::new(persistence);
    }
    let mut world = reach(persistence, states, from);
    for input in inputs.split(", ") {
        assert!(world.meet(input).is_some(), "{input:?} on the way to {state:?}");
    }
    assert_eq!(world.label(), label_of(state), "{state:?}");
    world
}

/// The part of a state's name that the machine says itself.
fn label_of(state: &str) -> &str {
    state.split(": ").next().unwrap_or(state)
}
