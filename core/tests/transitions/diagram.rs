//! The table as a picture: the states of a session that shares its credential, with every arrow that there is.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::Section;

/// Where a state stands: the middle of its box.
const PLACES: [(&str, i32, i32); 9] = [
    ("Idle", 115, 250),
    ("Failed", 115, 520),
    ("Load", 500, 250),
    ("Claim", 500, 50),
    ("Exchange", 880, 50),
    ("Save", 880, 190),
    ("Mark", 880, 360),
    ("Release", 880, 520),
    ("Establish", 500, 520),
];

/// What a state does, in a few words.
const WORDS: [(&str, &str); 9] = [
    ("Idle", "a token, or nobody asked"),
    ("Failed", "until an instant, or for good"),
    ("Load", "read the record"),
    ("Claim", "compare-and-set"),
    ("Exchange", "present the refresh token"),
    ("Save", "the new grant"),
    ("Mark", "the refusal"),
    ("Release", "give the claim back"),
    ("Establish", "a sign-in or a sign-out"),
];

const WIDTH: i32 = 190;
const HEIGHT: i32 = 54;

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
        .flat_map(|section| section.rows.iter().map(|row| (place(section.state), place(&row.next))))
        .filter(|(from, to)| from != to)
        .collect();
    let gone = MEANINGS.iter().find(|(from, to, _)| !arrows.contains(&(from, to)));
    assert_eq!(gone, None, "the machine has no such arrow any more");
    let mut svg = String::from(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 600" role="img" aria-label="The states of the machine">
<style>
.tr-page{fill:#fff}.tr-box{fill:#f4f6fa;stroke:#5b6b86}.tr-run{fill:#eaf2ff}.tr-name{font:600 16px sans-serif;fill:#1c2738}
.tr-word{font:12px sans-serif;fill:#5b6b86}.tr-to{fill:none;stroke:#2f6fdb;stroke-width:1.6;marker-end:url(#to)}
.tr-again{fill:none;stroke:#9aa7bd;stroke-width:1.2;stroke-dasharray:4 3;marker-end:url(#again)}
.tr-fail{fill:none;stroke:#c0392b;stroke-width:1.4;marker-end:url(#fail)}.tr-done{fill:none;stroke:#1e8e5a;stroke-width:1.6;marker-end:url(#done)}
.tr-label{font:11px sans-serif;fill:#1c2738;paint-order:stroke;stroke:#fff;stroke-width:4px}
@media(prefers-color-scheme:dark){.tr-page{fill:#0d1117}.tr-box{fill:#161c26;stroke:#7d8ba3}.tr-run{fill:#14213a}.tr-name,.tr-label{fill:#e6edf3}.tr-word{fill:#9aa7bd}.tr-label{stroke:#0d1117}}
</style>
<defs>
"#,
    );
    for (id, colour) in [("to", "#2f6fdb"), ("again", "#9aa7bd"), ("fail", "#c0392b"), ("done", "#1e8e5a")] {
        let _ = writeln!(
            svg,
            r#"<marker id="{id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8Z" fill="{colour}"/></marker>"#
        );
    }
    svg.push_str("</defs>\n<rect class=\"tr-page\" width=\"1120\" height=\"600\"/>\n");
    for (from, to) in arrows {
        arrow(&mut svg, from, to);
    }
    for (name, x, y) in PLACES {
        let class = if ["Idle", "Failed"].contains(&name) { "tr-box" } else { "tr-box tr-run" };
        let word = WORDS.iter().find(|(state, _)| *state == name).map_or("", |(_, word)| word);
        let (left, top) = (x - WIDTH / 2, y - HEIGHT / 2);
        let _ = writeln!(
            svg,
            r#"<rect class="{class}" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="9"/><text class="tr-name" x="{x}" y="{}" text-anchor="middle">{name}</text><text class="tr-word" x="{x}" y="{}" text-anchor="middle">{word}</text>"#,
            y - 3,
            y + 15,
        );
    }
    let legend = "Dashed: a conflict, no answer, a sign-in or sign-out, a driver that vanished: look again. Without a store a run is Exchange alone.";
    let _ = writeln!(svg, r#"<text class="tr-word" x="20" y="585">{legend}</text>"#);
    svg.push_str("</svg>\n");
    svg
}

/// The box that stands for a state: the step, while a run is under way.
fn place(state: &str) -> &'static str {
    let step = state.strip_prefix("Refreshing(").unwrap_or(state);
    PLACES
        .iter()
        .map(|(name, ..)| *name)
        .find(|name| step.starts_with(name))
        .expect("a state that has a place")
}

fn middle(name: &str) -> (i32, i32) {
    PLACES
        .iter()
        .find(|(place, ..)| *place == name)
        .map(|(_, x, y)| (*x, *y))
        .expect("a state that has a place")
}

fn arrow(svg: &mut String, from: &str, to: &str) {
    let ((x1, y1), (x2, y2)) = (middle(from), middle(to));
    let meaning = MEANINGS.iter().find(|(a, b, _)| (*a, *b) == (from, to)).map(|(.., meaning)| *meaning);
    let class = match (to, meaning) {
        ("Load", None) => "again",
        ("Failed", _) => "fail",
        ("Idle", _) => "done",
        _ => "to",
    };
    let (start, bend, end);
    if x1 == x2 && (y2 - y1).abs() > 200 && from == "Exchange" {
        // Around the box between them.
        let (x, out) = (f64::from(x1 + WIDTH / 2), f64::from(x1 + WIDTH / 2 + (y2 - y1) / 4));
        (start, bend, end) = ((x, f64::from(y1)), (out, f64::from(y1 + y2) / 2.0), (x, f64::from(y2)));
    } else {
        // The two directions of a pair stand side by side, each on its own right.
        let (dx, dy) = (f64::from(x2 - x1), f64::from(y2 - y1));
        let length = dx.hypot(dy);
        let (ox, oy) = (-dy / length, dx / length);
        let (ax, ay) = border(x1, y1, dx, dy);
        let (bx, by) = border(x2, y2, -dx, -dy);
        start = (ax + ox * 9.0, ay + oy * 9.0);
        end = (bx + ox * 9.0, by + oy * 9.0);
        let out = if length > 600.0 { -60.0 } else { 0.0 };
        bend = (f64::midpoint(start.0, end.0), f64::midpoint(start.1, end.1) + out);
    }
    let ((ax, ay), (mx, my), (bx, by)) = (start, bend, end);
    let _ =
        writeln!(svg, r#"<path class="tr-{class}" d="M{ax:.0} {ay:.0}Q{mx:.0} {my:.0} {bx:.0} {by:.0}"/>"#);
    if let Some(meaning) = meaning {
        // Slanting arrows cross in the middle; near the beginning it is clear whose words these are.
        let t = if x1 == x2 || y1 == y2 { 0.5 } else { 0.3 };
        let at = |a: f64, m: f64, b: f64| (1.0 - t) * (1.0 - t) * a + 2.0 * (1.0 - t) * t * m + t * t * b;
        let (x, y) = (at(ax, mx, bx), at(ay, my, by) + 4.0);
        let _ = writeln!(
            svg,
            r#"<text class="tr-label" x="{x:.0}" y="{y:.0}" text-anchor="middle">{meaning}</text>"#
        );
    }
}

/// Where the line from the middle of a box leaves it.
fn border(x: i32, y: i32, dx: f64, dy: f64) -> (f64, f64) {
    let (x, y) = (f64::from(x), f64::from(y));
    let (w, h) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
    let scale = (w / dx.abs().max(0.001)).min(h / dy.abs().max(0.001));
    (x + dx * scale, y + dy * scale)
}
