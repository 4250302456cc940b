//! The catalogue of requirements, `REQUIREMENTS.md`, as data.
//!
//! Reports name what was broken, and with which weight; both stand in the catalogue, and only there.
//!
//! ```
//! use token_refresh_conformance::catalogue::{self, Basis, Entry, Level};
//!
//! let Some(Entry::Requirement(late)) = catalogue::find("CORE-04") else { panic!("in the catalogue") };
//! assert_eq!((late.level, late.basis.as_slice()), (Level::Must, &[Basis::DeFacto][..]));
//! assert!(late.statement.starts_with("A refusal of an older generation"));
//! ```

use std::{fmt, sync::LazyLock};

/// All requirements, in the order of the catalogue.
pub fn requirements() -> &'static [Requirement] {
    &CATALOGUE.requirements
}

/// All invariants of histories, in the order of the catalogue.
pub fn invariants() -> &'static [Invariant] {
    &CATALOGUE.invariants
}

/// The requirement (`CORE-04`) or the invariant (`I-02`) with this id.
pub fn find(id: &str) -> Option<Entry> {
    let requirement = requirements().iter().find(|requirement| requirement.id == id).map(Entry::Requirement);
    requirement.or_else(|| invariants().iter().find(|invariant| invariant.id == id).map(Entry::Invariant))
}

/// Something that has an id in the catalogue.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// What a client has to do.
    Requirement(&'static Requirement),
    /// What holds in each history of a state machine.
    Invariant(&'static Invariant),
}

/// What a client has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its id: `CORE-04`.
    pub id: &'static str,
    /// How strictly the catalogue asks for it.
    pub level: Level,
    /// When it is asked for, if not always: `if DPoP`.
    pub condition: Option<&'static str>,
    /// Which part of a client it is about: `core state machine`, `exchange`, …
    pub class: &'static str,
    /// How much of it is the standards' own voice; the strongest first, never empty.
    pub basis: Vec<Basis>,
    /// The requirement itself, in markdown, as one line.
    pub statement: String,
    /// Where it comes from (`Src`).
    pub source: String,
    /// How a test sees it (`Obs`).
    pub observation: String,
    /// The typical violation in the wild (`Seen`).
    pub seen: String,
}

/// What holds in each history of a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its id: `I-02`.
    pub id: &'static str,
    /// Safety or liveness.
    pub kind: Kind,
    /// Its name: `RT linearity`.
    pub title: &'static str,
    /// The predicate, in markdown, as one line.
    pub statement: String,
    /// What happens otherwise.
    pub why: String,
}

/// How strictly the catalogue asks for a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A client without it is wrong.
    Must,
    /// A client needs a reason to be without it.
    Should,
    /// A client may have it.
    May,
}

/// How much of a requirement is the standards' own voice, and so what a failure is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// N: a specification puts the obligation on the client in these terms.
    Normative,
    /// I: it follows from a specification's semantics, or from an obligation on the server.
    Inferred,
    /// D: vendors or libraries behave so, or incidents show what happens otherwise.
    DeFacto,
    /// P: policy of the catalogue, with a reason.
    Policy,
}

/// Safety: nothing bad happens. Liveness: something good happens, if effects end and time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// S.
    Safety,
    /// L.
    Liveness,
}

impl Entry {
    /// Its id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Requirement(requirement) => requirement.id,
            Self::Invariant(invariant) => invariant.id,
        }
    }
}

impl Requirement {
    /// Its group: `CORE` of `CORE-04`.
    pub fn group(&self) -> &'static str {
        self.id.split_once('-').map_or(self.id, |(group, _)| group)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normative => "N",
            Self::Inferred => "I",
            Self::DeFacto => "D",
            Self::Policy => "P",
        })
    }
}

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::parse(include_str!("../REQUIREMENTS.md")));

#[derive(Debug, Default)]
struct Catalogue {
    requirements: Vec<Requirement>,
    invariants: Vec<Invariant>,
}

impl Catalogue {
    /// A record begins with a line in bold type that has its id in it, and ends with an empty line. What has another
    /// form is prose.
    fn parse(text: &'static str) -> Self {
        let mut catalogue = Self::default();
        for paragraph in text.split("\n\n") {
            let Some((head, body)) =
                paragraph.trim().strip_prefix("**").and_then(|rest| rest.split_once("**"))
            else {
                continue;
            };
            catalogue.requirements.extend(requirement(head, body));
            catalogue.invariants.extend(invariant(head, body));
        }
        catalogue
    }
}

/// `ID · LEVEL · class · [basis]`, then the statement and a list.
fn requirement(head: &'static str, body: &'static str) -> Option<Requirement> {
    let mut parts = head.split(" · ");
    let (id, level, class, basis) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (level, condition) = match level.split_once(" (") {
        Some((level, condition)) => (level, Some(condition.strip_suffix(')')?)),
        None => (level, None),
    };
    let mut items = body.split("\n- ");
    let statement = one_line(items.next()?);
    let mut item = |name: &str| Some(one_line(items.next()?.strip_prefix(name)?));
    Some(Requirement {
        id,
        level: match level {
            "MUST" => Level::Must,
            "SHOULD" => Level::Should,
            "MAY" => Level::May,
            _ => return None,
        },
        condition,
        class,
        basis: basis.strip_prefix('[')?.strip_suffix(']')?.split(',').map(basis_of).collect::<Option<_>>()?,
        statement,
        source: item("Src:")?,
        observation: item("Obs:")?,
        seen: item("Seen:")?,
    })
}

fn basis_of(tag: &str) -> Option<Basis> {
    match tag {
        "N" => Some(Basis::Normative),
        "I" => Some(Basis::Inferred),
        "D" => Some(Basis::DeFacto),
        "P" => Some(Basis::Policy),
        _ => None,
    }
}

/// `ID (S) Title.`, then the statement, and after `*Why*:` the reason.
fn invariant(head: &'static str, body: &'static str) -> Option<Invariant> {
    let (id, rest) = head.strip_suffix('.')?.split_once(" (")?;
    let (kind, title) = rest.split_once(") ")?;
    let (statement, why) = body.split_once("*Why*:")?;
    Some(Invariant {
        id,
        kind: match kind {
            "S" => Kind::Safety,
            "L" => Kind::Liveness,
            _ => return None,
        },
        title,
        statement: one_line(statement),
        why: one_line(why),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that the parser does not understand would be missing from every report without a word.
    #[test]
    fn every_record_of_the_catalogue_is_read() {
        let text = include_str!("../REQUIREMENTS.md");
        let records = |known: fn(&str) -> bool| {
            text.lines().filter(|line| line.starts_with("**") && known(line)).count()
        };
        assert_eq!(requirements().len(), records(|line| line.contains("** ") && line.contains(" · [")));
        assert_eq!(invariants().len(), records(|line| line.starts_with("**I-")));
        assert!(text.contains(&format!("Requirements ({})", requirements().len())));
    }

    #[test]
    fn records_are_complete() {
        let first = &requirements()[0];
        assert_eq!((first.id, first.group(), first.class), ("CORE-01", "CORE", "core state machine"));
        assert_eq!(first.basis, [Basis::Inferred, Basis::DeFacto]);
        assert!(first.source.starts_with("RFC 9700") && first.observation.starts_with("SM: never two"));
        assert!(first.statement.ends_with("share that one flight.") && first.seen.starts_with("keyed by"));
        for one in requirements() {
            assert!(
                !one.statement.is_empty() && !one.observation.is_empty() && !one.basis.is_empty(),
                "{}",
                one.id
            );
            assert!(one.basis.is_sorted(), "{}", one.id);
        }
        let last = invariants().last().expect("there are some");
        assert_eq!((last.id, last.kind, last.title), ("I-25", Kind::Safety, "Totality"));
    }

    #[test]
    fn ids_lead_to_records() {
        for (id, found) in
            [("XREQ-08", true), ("I-01", true), ("CORE-99", false), ("CORE", false), ("", false)]
        {
            assert_eq!(find(id).map(Entry::id), found.then_some(id));
        }
        let Some(Entry::Requirement(bound)) = find("XREQ-08") else { panic!("in the catalogue") };
        assert_eq!((bound.level, bound.condition), (Level::Must, Some("if DPoP or mTLS")));
    }
}
