//! Plants faults in a source, each behind a switch that is off: for build scripts.

use std::collections::BTreeMap;

/// One fault.
#[derive(Clone, Copy)]
pub struct Fault<'a> {
    /// The number that `crate::is_planted` is asked about.
    pub switch: u32,
    pub id: &'a str,
    /// A piece of the source that occurs once; what stands between « and » is replaced.
    pub place: &'a str,
    /// By this.
    pub fault: &'a str,
}

/// Replaces the marked piece of each fault's place by a choice between it and the fault.
pub fn plant(source: &str, faults: &[Fault<'_>], misplaced: &mut Vec<String>) -> String {
    let mut pieces: BTreeMap<(usize, usize), Vec<Fault<'_>>> = BTreeMap::new();
    for fault in faults {
        match locate(source, fault) {
            Ok(piece) => pieces.entry(piece).or_default().push(*fault),
            Err(what) => misplaced.push(what),
        }
    }
    let mut planted = String::new();
    let mut copied = 0;
    for ((begin, end), faults) in pieces {
        if begin < copied {
            misplaced.push(format!("{}: its piece overlaps another one", faults[0].id));
            continue;
        }
        let piece = &source[begin..end];
        let choices: String = faults
            .iter()
            .map(|Fault { switch, fault, .. }| format!("if crate::is_planted({switch}) {{ {fault} }} else "))
            .collect();
        let choice = format!("{choices}{{ {piece} }}");
        planted.push_str(&source[copied..begin]);
        planted.push_str(&if piece.ends_with(';') { choice } else { format!("({choice})") });
        copied = end;
    }
    planted.push_str(&source[copied..]);
    planted
}

/// Where the piece that a fault replaces begins and ends.
fn locate(source: &str, fault: &Fault<'_>) -> Result<(usize, usize), String> {
    let id = fault.id;
    let marked = fault.place.split_once('«').and_then(|(before, rest)| Some((before, rest.split_once('»')?)));
    let (before, (piece, after)) = marked.ok_or_else(|| format!("{id}: no « » in its place"))?;
    let text = format!("{before}{piece}{after}");
    let mut found = source.match_indices(&text).map(|(at, _)| at + before.len());
    match (found.next(), found.next()) {
        (Some(begin), None) => Ok((begin, begin + piece.len())),
        (None, _) => Err(format!("{id}: nowhere is\n    {text}")),
        (Some(_), Some(_)) => Err(format!("{id}: more than once there is\n    {text}")),
    }
}
