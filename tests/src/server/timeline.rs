//! The logs of several servers as one text for people.

use std::fmt::Write as _;

use super::{Seen, Verdict};

/// One line for each request, in the order of arrival. Targets lose their query, tokens are named by their tags.
///
/// ```text
///   0.000 s  api   GET    /things/17       at-1-0…  → 401  expired
///   0.001 s  auth  POST   /token           rt-1-0…  → 200  granted at-1-1
///   0.002 s  api   GET    /things/17       at-1-1…  → 200
/// ```
pub fn timeline(logs: impl IntoIterator<Item = Vec<Seen>>) -> String {
    let mut seen: Vec<Seen> = logs.into_iter().flatten().collect();
    seen.sort_by_key(|seen| seen.at);
    let mut text = String::new();
    for seen in &seen {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", line(seen).trim_end());
    }
    text
}

fn line(seen: &Seen) -> String {
    let path: String = seen.target.split('?').next().unwrap_or_default().chars().take(32).collect();
    let carried = match (seen.carried, seen.verdict) {
        (Some(tag), _) => format!("{tag}…"),
        (None, Verdict::Unknown) => "?".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let (at, server, method) = (seen.at.as_secs_f64(), &seen.server, &seen.method);
    format!(
        "{at:7.3} s  {server:<4}  {method:<6} {path:<16} {carried:<8} → {end}  {verdict}",
        end = seen.end,
        verdict = seen.verdict
    )
}
