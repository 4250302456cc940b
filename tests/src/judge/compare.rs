//! Two runs held against each other (I-18, I-25, and "timers only make things earlier").

use super::{Court, Violation};
use crate::executor::run_on;
use crate::history::{Entry, History};
use crate::script::{Script, Step};
use crate::stage::Stage;
use crate::vocabulary::{Answer, Output};

/// I-25: the same calls lead to the same replies.
pub(super) fn same_again(stage: &mut dyn Stage, script: &Script, history: &History, court: &mut Court) {
    let other = run_on(stage, script);
    court.find("I-25", collapse(&other).or_else(|| differ("I-25", &history.entries, &other.entries)));
}

/// I-18: without its cancellations the script leads to the same exchanges, commits and tokens.
pub(super) fn without_cancellations(
    stage: &mut dyn Stage,
    script: &Script,
    history: &History,
    court: &mut Court,
) {
    let steps: Vec<Step> =
        script.steps.iter().copied().filter(|step| !matches!(step, Step::Cancel(..))).collect();
    if steps.len() == script.steps.len() {
        return;
    }
    let other = run_on(stage, &Script { world: script.world.clone(), steps });
    let lasting = |entry: &Entry| -> Vec<(u64, Output)> {
        let outputs = entry.reply.outputs.iter().filter(|output| match output {
            Output::Publish(_) | Output::Run(_) => true,
            Output::Resolve { .. } | Output::Notify(_) => false,
        });
        outputs.map(|output| (entry.at, output.clone())).collect()
    };
    let differ = || differ("I-18", &flat(history, lasting), &flat(&other, lasting));
    court.find("I-18", collapse(&other).or_else(differ));
}

/// A machine without a store, asked at the same instants, gives callers the same answers whether or not it was told
/// before that time has passed.
pub(super) fn with_timers(stage: &mut dyn Stage, script: &Script, history: &History, court: &mut Court) {
    if script.world.shared {
        return;
    }
    let steps = script.steps.iter().flat_map(|step| {
        // (Not before a refusal: which token that means may depend on what the timer publishes.)
        let timer = match *step {
            Step::Want(p) => Some(Step::Timeout(p)),
            _ => None,
        };
        timer.into_iter().chain([*step])
    });
    let other = run_on(stage, &Script { world: script.world.clone(), steps: steps.collect() });
    let told = |entry: &Entry| -> Vec<(u64, Answer)> {
        let answer = Some(&entry.reply.answer).filter(|answer| **answer != Answer::None);
        answer.map(|answer| (entry.at, answer.clone())).into_iter().collect()
    };
    // Effects come last in a batch, so that their place among the others may differ.
    let outputs = |effects: bool| {
        move |entry: &Entry| -> Vec<(u64, Output)> {
            let outputs = entry.reply.outputs.iter().filter(|output| match output {
                Output::Run(_) => effects,
                Output::Publish(_) | Output::Resolve { .. } => !effects,
                Output::Notify(_) => false,
            });
            outputs.map(|output| (entry.at, output.clone())).collect()
        }
    };
    let violation = collapse(&other)
        .or_else(|| differ("timers", &flat(history, told), &flat(&other, told)))
        .or_else(|| differ("timers", &flat(history, outputs(false)), &flat(&other, outputs(false))))
        .or_else(|| differ("timers", &flat(history, outputs(true)), &flat(&other, outputs(true))));
    court.find("timers", violation);
}

fn collapse(history: &History) -> Option<Violation> {
    let collapse = history.collapse.as_ref()?;
    Some(Violation { rule: "I-25", at: history.entries.len(), says: collapse.to_string() })
}

fn flat<T>(history: &History, part: impl Fn(&Entry) -> Vec<T>) -> Vec<T> {
    history.entries.iter().flat_map(part).collect()
}

fn differ<T: PartialEq + std::fmt::Debug>(rule: &'static str, one: &[T], other: &[T]) -> Option<Violation> {
    if one == other {
        return None;
    }
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let says = format!("the runs differ: {:?} and {:?}", one.get(at), other.get(at));
    Some(Violation { rule, at, says })
}
