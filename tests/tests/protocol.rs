//! `PROTOCOL.md` says what is so.

use serde_json::{Value, json};
use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, script};
use token_refresh_conformance::profile::Profile;
use token_refresh_conformance::protocol::{Request, Response, serve};

const PROTOCOL: &str = include_str!("../PROTOCOL.md");

#[test]
fn the_dialogue_in_the_document_is_what_is_said() {
    let said = |who: &str| -> Vec<Value> {
        let lines = PROTOCOL.lines().filter_map(|line| line.strip_prefix(who));
        lines.map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let requests: Vec<String> = said("> ").iter().map(Value::to_string).collect();
    let requests = requests.join("\n");
    let mut responses = Vec::new();
    serve::<CoreSubject>("token-refresh-core", &Profile::default(), requests.as_bytes(), &mut responses)
        .expect("the kit is understood");
    let responses = String::from_utf8(responses).expect("JSON is text");
    let responses: Vec<Value> =
        responses.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let promised = said("< ");
    assert!(promised.len() >= 20);
    for (number, (response, promised)) in (1..).zip(responses.iter().zip(&promised)) {
        assert_eq!(response, promised, "answer {number}");
    }
    assert_eq!(responses.len(), promised.len());
}

#[test]
fn whatever_is_said_survives_being_written_down() {
    for family in [Family::Memory, Family::Stored, Family::Several] {
        for seed in 0..300 {
            let history = run::<CoreSubject>(&script(family, 40, seed));
            for entry in history.entries {
                let Some(input) = entry.input else { continue };
                let request = Request::Call { process: entry.process, now: entry.clock, input };
                let written = serde_json::to_string(&request).expect("it can be written");
                assert_eq!(serde_json::from_str::<Request>(&written).expect(&written), request);
                let response = Response::Reply(entry.reply);
                let written = serde_json::to_string(&response).expect("it can be written");
                assert_eq!(serde_json::from_str::<Response>(&written).expect(&written), response);
            }
        }
    }
}

/// Every word of the vocabulary is in the document.
#[test]
fn every_word_is_explained() {
    let mut words = std::collections::BTreeSet::new();
    for family in [Family::Memory, Family::Stored, Family::Several] {
        for seed in 0..1_000 {
            let history = run::<CoreSubject>(&script(family, 40, seed));
            words_of(&json!(history.settings), &mut words);
            for entry in &history.entries {
                words_of(&json!([entry.input, entry.reply]), &mut words);
            }
        }
    }
    let unexplained: Vec<_> = words
        .iter()
        .filter(|word| !PROTOCOL.contains(&format!("\"{word}\"")) && !PROTOCOL.contains(&format!("`{word}`")))
        .collect();
    assert!(words.len() > 80 && unexplained.is_empty(), "{unexplained:?} of {}", words.len());
}

fn words_of(value: &Value, words: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                words.insert(name.clone());
                words_of(value, words);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| words_of(value, words)),
        // Tokens are the kit's: at0, rt0.
        Value::String(word) if !word.ends_with(|c: char| c.is_ascii_digit()) => {
            words.insert(word.clone());
        }
        _ => {}
    }
}
