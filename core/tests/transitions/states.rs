//! The table as a picture: the states of a session that shares its credential, with every arrow that there is.

use std::collections::BTreeSet;

use crate::{
    Section,
    picture::{Arrow, Picture, Place, place},
};

const PLACES: [Place; 9] = [
    place("Idle", "a token, or nobody asked", [115, 250], false),
    place("Failed", "until an instant, or for good", [115, 520], false),
    place("Load", "read the record", [500, 250], true),
    place("Claim", "compare-and-set", [500, 50], true),
    place("Exchange", "present the refresh token", [880, 50], true),
    place("Save", "the new grant", [880, 190], true),
    place("Mark", "the refusal", [880, 360], true),
    place("Release", "give the claim back", [880, 520], true),
    place("Establish", "a sign-in or a sign-out", [500, 520], true),
];

/// What an arrow means, in a few words. The arrows themselves come from the table.
const MEANINGS: [(&str, &str, &str); 19] = [
    ("Idle", "Load", "a demand"),
    ("Load", "Idle", "adopt"),
    ("Load", "Claim", "as known"),
    ("Load", "Save", "a grant in hand"),
    ("Load", "Release", "own claim, not needed"),
    ("Load", "Establish", "an identity is owed"),
    ("Load", "Failed", "nothing, or unavailable"),
    ("Claim", "Exchange", "committed"),
    ("Exchange", "Save", "granted"),
    ("Exchange", "Mark", "refused"),
    ("Exchange", "Release", "not sent, put off"),
    ("Save", "Idle", "committed: publish"),
    ("Mark", "Failed", "committed"),
    ("Release", "Failed", "committed"),
    ("Establish", "Idle", "signed in"),
    ("Establish", "Failed", "signed out"),
    ("Failed", "Load", "it is time"),
    ("Failed", "Idle", "reset, retry time"),
    ("Release", "Idle", "a token serves"),
];

pub(crate) fn svg(table: &[Section]) -> String {
    let shared = table.iter().filter(|section| section.title.starts_with("Shared"));
    let arrows: BTreeSet<(&str, &str)> = shared
        .flat_map(|section| section.rows.iter().map(|row| (state(section.state), state(&row.next))))
        .filter(|(from, to)| from != to)
        .collect();
    let gone = MEANINGS.iter().find(|(from, to, _)| !arrows.contains(&(from, to)));
    assert_eq!(gone, None, "the machine has no such arrow any more");
    let arrows: Vec<Arrow<'_>> = arrows.into_iter().map(|(from, to)| arrow(from, to)).collect();
    Picture {
        title: "The states of the machine",
        height: 600,
        places: &PLACES,
        legend: "Dashed: a conflict, no answer, a sign-in or sign-out, a driver that vanished: look again. Without a store a run is Exchange alone.",
    }
    .svg(&arrows)
}

/// The box that stands for a state: the step, while a run is under way.
fn state(state: &str) -> &'static str {
    let step = state.strip_prefix("Refreshing(").unwrap_or(state);
    PLACES
        .iter()
        .map(|place| place.name)
        .find(|name| step.starts_with(name))
        .expect("a state that has a place")
}

fn arrow<'a>(from: &'a str, to: &'a str) -> Arrow<'a> {
    let label = MEANINGS.iter().find(|(a, b, _)| (*a, *b) == (from, to)).map(|(.., meaning)| *meaning);
    let class = match (to, label) {
        ("Load", None) => "again",
        ("Failed", _) => "fail",
        ("Idle", _) => "done",
        _ => "to",
    };
    Arrow { from, to, class, label: label.map(str::to_owned) }
}
