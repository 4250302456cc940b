//! The tests of the workspace, found by their names in its source files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use token_refresh_conformance::catalogue;

/// What was found.
pub(crate) struct Sources {
    pub(crate) tests: Vec<Test>,
    not_run: Vec<(String, String)>,
    /// For each adapter the ways to use it, and the rules that each is held to.
    users: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

pub(crate) struct Test {
    pub(crate) name: String,
    /// Below the root of the workspace.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    ids: Vec<String>,
}

pub(crate) enum Kind {
    /// A rule for adapters, and which of them are held to it if not all.
    Rule { by: String },
    /// A rule of the judge.
    Judge { faults: usize },
    /// Any other test.
    Test,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Sources {
    pub(crate) fn read() -> Self {
        let mut files = Vec::new();
        collect(&root(), &mut files);
        files.sort();
        let mut sources = Self { tests: Vec::new(), not_run: Vec::new(), users: BTreeMap::new() };
        let rules =
            files.iter().find(|(path, _)| path == RULES).map(|(_, text)| listed(text)).unwrap_or_default();
        for (path, text) in &files {
            sources.read_users(path, text, &rules);
        }
        for (path, text) in &files {
            sources.read_tests(path, text);
        }
        sources.read_judge(&files);
        sources
    }

    /// The tests that carry each id, by their index.
    pub(crate) fn by_id(&self) -> BTreeMap<String, Vec<usize>> {
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, test) in self.tests.iter().enumerate() {
            for id in &test.ids {
                found.entry(id.clone()).or_default().push(index);
            }
        }
        for tests in found.values_mut() {
            tests.sort_by_key(|index| {
                let test = &self.tests[*index];
                (
                    matches!(test.kind, Kind::Test),
                    !matches!(test.kind, Kind::Rule { .. }),
                    &test.path,
                    &test.name,
                )
            });
        }
        found
    }

    /// Functions that carry an id and are no tests: names and paths.
    pub(crate) fn not_run(&self) -> impl Iterator<Item = &(String, String)> {
        self.not_run.iter()
    }

    /// The adapters, and the ways to use them.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.users.iter().map(|(adapter, ways)| (adapter.as_str(), ways.keys().map(String::as_str).collect()))
    }

    /// Where `adapter_rules!` is used.
    fn read_users(&mut self, path: &str, text: &str, rules: &[Vec<String>]) {
        let Some((adapter, _)) = path.strip_prefix("transport-").and_then(|path| path.split_once("/tests/"))
        else {
            return;
        };
        let mut module = "";
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("mod ").and_then(|line| line.strip_suffix(" {")) {
                module = name;
            }
            let Some((_, what)) = line.split_once("adapter_rules!(") else { continue };
            let what = what.trim_end_matches(");");
            let held: Vec<String> = match what.split_once(": ") {
                None => rules.concat(),
                Some(("without redirects", _)) => rules.first().cloned().unwrap_or_default(),
                Some((_, named)) => named.split(' ').map(str::to_owned).collect(),
            };
            let ways = self.users.entry(adapter.to_owned()).or_default();
            ways.entry(module.to_owned()).or_default().extend(held);
        }
    }

    fn read_tests(&mut self, path: &str, text: &str) {
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") || line.starts_with("//") || line.ends_with(")]") {
                marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                continue;
            }
            let marked = std::mem::take(&mut marked);
            let Some((name, arguments)) = function(line) else { continue };
            let ids = ids_of(name);
            if ids.is_empty() {
                continue;
            }
            // The macro of the driver's tests makes one test of it for each runtime.
            let on_runtimes = arguments.starts_with("runtime: Runtime");
            let kind = if is_rule(path, line) {
                self.held(name).map(|by| Kind::Rule { by })
            } else {
                (marked || on_runtimes).then_some(Kind::Test)
            };
            let (name, path) = (name.to_owned(), path.to_owned());
            match kind {
                Some(kind) => self.tests.push(Test { name, path, kind, ids }),
                None => self.not_run.push((name, path)),
            }
        }
    }

    /// By whom a rule is kept: nothing if by all, `None` if by nobody.
    fn held(&self, rule: &str) -> Option<String> {
        let ways: usize = self.users.values().map(BTreeMap::len).sum();
        let holds = |ways: &BTreeMap<String, BTreeSet<String>>| {
            ways.iter()
                .filter(|(_, rules)| rules.contains(rule))
                .map(|(way, _)| way.clone())
                .collect::<Vec<_>>()
        };
        let held: Vec<_> = self.users.iter().map(|(adapter, ways)| (adapter, holds(ways))).collect();
        match held.iter().map(|(_, ways)| ways.len()).sum::<usize>() {
            0 => None,
            all if all == ways => Some(String::new()),
            _ => {
                let some = held.iter().filter(|(_, ways)| !ways.is_empty());
                let some: Vec<_> =
                    some.map(|(adapter, ways)| format!("{adapter} by {}", ways.join(", "))).collect();
                Some(format!(" ({})", some.join("; ")))
            }
        }
    }

    /// The judge's rules have their ids as text, and so have the planted faults that break them.
    fn read_judge(&mut self, files: &[(String, String)]) {
        let faults = files.iter().find(|(path, _)| path == FAULTS).map_or("", |(_, text)| text);
        let ids = catalogue::requirements().iter().map(|requirement| requirement.id);
        for id in ids.chain(catalogue::invariants().iter().map(|invariant| invariant.id)) {
            let quoted = format!("\"{id}\"");
            let judged = |(path, text): &&(String, String)| path.starts_with(JUDGE) && text.contains(&quoted);
            if let Some((path, _)) = files.iter().find(judged) {
                let kind = Kind::Judge { faults: faults.matches(&quoted).count() };
                self.tests.push(Test {
                    name: id.to_owned(),
                    path: path.clone(),
                    kind,
                    ids: vec![id.to_owned()],
                });
            }
        }
    }
}

const RULES: &str = "tests/src/adapter/mod.rs";
const JUDGE: &str = "tests/src/judge/";
const FAULTS: &str = "tests/mutants/src/table.rs";

/// All source files, with their paths below the root.
fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let entry = entry.expect("a folder of the workspace can be read");
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            // Dot files, and what a build writes: by its usual name, for cargo marks no folder that was there before, or
            // wherever it was told to.
            let built = name == "target" || path.join("CACHEDIR.TAG").exists();
            if !name.starts_with('.') && !built {
                collect(&path, files);
            }
        } else if name.ends_with(".rs") {
            let below = path.strip_prefix(root()).expect("it is below the root");
            let below = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect::<Vec<_>>()
                .join("/");
            files.push((below, fs::read_to_string(&path).expect("a source file is text")));
        }
    }
}

/// The lists of `adapter_rules!`: the rules for everybody, and those about redirects.
fn listed(text: &str) -> Vec<Vec<String>> {
    let lists = text.split("adapter_rules! { $client:\n").skip(1);
    lists
        .map(|list| list.lines().map(str::trim).take_while(|line| *line != "}").map(str::to_owned).collect())
        .collect()
}

/// A rule is a public function over clients.
fn is_rule(path: &str, line: &str) -> bool {
    path.starts_with("tests/src/adapter/") && line.starts_with("pub fn") && line.contains("<C: Client>()")
}

/// Its name, and what follows the first parenthesis.
fn function(line: &str) -> Option<(&str, &str)> {
    let line = ["pub(crate) ", "pub(super) ", "pub "]
        .iter()
        .find_map(|word| line.strip_prefix(word))
        .unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    let (name, arguments) = line.split_once('(')?;
    Some((name.split('<').next().unwrap_or(name), arguments))
}

/// The ids at the beginning of a name: `mp_04_mp_05_…`, `xreq_04_12_…`, `chal_02_to_09_…`.
fn ids_of(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let (mut group, mut last, mut range) = (None, 0, false);
    for part in name.split('_') {
        let number = part.parse::<u32>().ok().filter(|_| part.len() == 2);
        match (group, number) {
            (_, None) if is_group(part) => group = Some(part),
            (Some(_), None) if part == "to" => range = true,
            (Some(group), Some(number)) => {
                let first = if range { last + 1 } else { number };
                ids.extend((first..=number).map(|number| format!("{}-{number:02}", group.to_uppercase())));
                (last, range) = (number, false);
            }
            _ => break,
        }
    }
    ids
}

fn is_group(part: &str) -> bool {
    let part = part.to_uppercase();
    part == "I" || catalogue::requirements().iter().any(|requirement| requirement.group() == part)
}
