//! All scenarios. Each is a function that plays it, and stops at the first thing that is not as it should be.

mod exchange;
mod grants;
mod identities;
mod lost;
mod origins;
mod processes;
mod refusals;
mod replays;
mod verdicts;
mod waiting;

use super::Scenario;

/// All scenarios, grouped by what they are about.
pub fn scenarios() -> Vec<Scenario> {
    let groups = [
        refusals::SCENARIOS,
        replays::SCENARIOS,
        origins::SCENARIOS,
        exchange::SCENARIOS,
        grants::SCENARIOS,
        verdicts::SCENARIOS,
        lost::SCENARIOS,
        waiting::SCENARIOS,
        identities::SCENARIOS,
        processes::SCENARIOS,
    ];
    groups.concat()
}
