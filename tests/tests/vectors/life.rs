//! The life of one machine, in the form of the vectors.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use token_refresh_conformance::history::History;
use token_refresh_conformance::vocabulary::{Output, Reply};

/// The calls of one machine, from its start to its end, or to that of the script.
pub(crate) struct Life {
    settings: Value,
    start: u64,
    calls: Vec<Call>,
}

struct Call {
    now: u64,
    input: Value,
    reply: Value,
}

impl Life {
    /// All lives in a history, those without calls excepted.
    pub(crate) fn of(history: &History) -> Vec<Self> {
        let mut lives: Vec<Self> = Vec::new();
        let mut current: BTreeMap<u8, (usize, Names)> = BTreeMap::new();
        for entry in &history.entries[..history.calm] {
            let Some(input) = &entry.input else {
                current.insert(entry.process, (lives.len(), Names::default()));
                lives.push(Self { settings: json!(history.settings), start: entry.clock, calls: Vec::new() });
                continue;
            };
            let Some((index, names)) = current.get_mut(&entry.process) else { continue };
            let input = names.numbered(json!(input));
            let reply = names.numbered(reply(&entry.reply));
            lives[*index].calls.push(Call { now: entry.clock, input, reply });
        }
        lives.retain(|life| !life.calls.is_empty());
        lives
    }

    /// What is the same in all of these; where chance decides on a number it says so. `None` if chance decides on more.
    pub(crate) fn merged(lives: &[&Self]) -> Option<Self> {
        let (first, others) = lives.split_first()?;
        let mut calls = Vec::new();
        for (index, call) in first.calls.iter().enumerate() {
            let mut reply = call.reply.clone();
            for other in others {
                let other = other.calls.get(index)?;
                if (other.now, &other.input) != (call.now, &call.input) {
                    return None;
                }
                reply = merge(&reply, &other.reply)?;
            }
            calls.push(Call { now: call.now, input: call.input.clone(), reply });
        }
        let same_length =
            others.iter().all(|other| other.calls.len() == calls.len() && other.start == first.start);
        same_length.then(|| Self { settings: first.settings.clone(), start: first.start, calls })
    }

    /// One line of a file.
    pub(crate) fn written(&self) -> Value {
        let calls = self
            .calls
            .iter()
            .map(|Call { now, input, reply }| json!({ "now": now, "input": input, "reply": reply }));
        json!({ "settings": self.settings, "start": self.start, "calls": calls.collect::<Vec<_>>() })
    }

    /// What happens in it: in which state which call leads to what.
    pub(crate) fn events(&self) -> impl Iterator<Item = String> {
        let mut state = String::from("start");
        self.calls.iter().map(move |call| {
            let after = kind(&call.reply["state"]);
            let outputs: Vec<String> =
                call.reply["outputs"].as_array().into_iter().flatten().map(kind).collect();
            let (input, answer) = (kind(&call.input), kind(&call.reply["answer"]));
            let event = format!("{state} {input} {answer} {outputs:?} {after}");
            state = after;
            event
        })
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.written())
    }
}

/// A reply without notices, and without what may be left out.
pub(crate) fn reply(reply: &Reply) -> Value {
    let outputs =
        reply.outputs.iter().filter(|output| !matches!(output, Output::Notify(_))).cloned().collect();
    let mut written = json!(Reply { outputs, ..reply.clone() });
    if let Value::Object(members) = &mut written {
        members.retain(|_, value| *value != json!("none") && *value != json!([]) && *value != Value::Null);
    }
    written
}

fn merge(one: &Value, other: &Value) -> Option<Value> {
    match (one, other) {
        _ if one == other => Some(one.clone()),
        (Value::Number(_), Value::Number(_)) => Some(json!("?")),
        (Value::String(any), Value::Number(_)) if any == "?" => Some(json!("?")),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .map(|(one, other)| merge(one, other))
            .collect::<Option<_>>()
            .map(Value::Array),
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            let merged = one.iter().map(|(name, one)| Some((name.clone(), merge(one, other.get(name)?)?)));
            merged.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// The words in a value, without its numbers and tokens.
fn kind(value: &Value) -> String {
    match value {
        Value::String(word) if word.ends_with(|c: char| c.is_ascii_digit() || c == '?') => String::new(),
        Value::String(word) => word.clone(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}{}", kind(value))).collect();
            members.join(".")
        }
        Value::Bool(bool) => bool.to_string(),
        Value::Null => String::from("null"),
        Value::Array(_) | Value::Number(_) => String::new(),
    }
}

/// Numbers for what a machine numbers as it likes: from 1, in the order of appearance.
#[derive(Default)]
pub(crate) struct Names {
    known: BTreeMap<&'static str, Vec<u64>>,
}

impl Names {
    /// Puts these numbers in the place of a machine's own.
    pub(crate) fn numbered(&mut self, value: Value) -> Value {
        rename(value, &mut |kind, own| {
            let known = self.known.entry(kind).or_default();
            let index = known.iter().position(|known| *known == own).unwrap_or_else(|| {
                known.push(own);
                known.len() - 1
            });
            index as u64 + 1
        })
    }

    /// The other way round. What the machine has not named is somebody else's, and gets a name that nobody has.
    pub(crate) fn own(&mut self, value: &Value) -> Value {
        rename(value.clone(), &mut |kind, number| {
            let known = self.known.entry(kind).or_default();
            while (known.len() as u64) < number {
                known.push(1_000_000 + known.len() as u64);
            }
            usize::try_from(number).ok().and_then(|number| known.get(number - 1)).copied().unwrap_or_default()
        })
    }
}

fn rename(value: Value, name: &mut impl FnMut(&'static str, u64) -> u64) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(|value| rename(value, name)).collect(),
        Value::Object(members) => {
            let renamed = members.into_iter().map(|(member, value)| {
                let kind = match member.as_str() {
                    "ticket" => "ticket",
                    "wait" | "waiter" | "cancel" => "waiter",
                    "session" => "session",
                    "claimant" => "claimant",
                    _ => "",
                };
                let value = match value.as_u64().filter(|_| !kind.is_empty()) {
                    // Nobody: a caller who never came.
                    Some(0) => value,
                    Some(own) => json!(name(kind, own)),
                    None => rename(value, name),
                };
                (member, value)
            });
            Value::Object(renamed.collect())
        }
        other => other,
    }
}
