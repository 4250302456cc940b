//! The exploration finds the faults of the claim protocol. `MUTANT=no-rest` looks for one of them only.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use token_refresh_mutants::explore::{explore, worlds};
use token_refresh_mutants::{MORE, MUTANTS, Mutant, PROTOCOL, plant};

/// More states than any of these worlds has.
const MOST: usize = 300_000;

#[test]
fn every_planted_fault_of_the_protocol_is_found() {
    let directed = worlds::directed();
    let own = |id: &str| directed.iter().find(|(known, _)| *known == id).map(|(_, world)| world);
    let protocol = |mutant: &&Mutant| PROTOCOL.contains(&mutant.id) || own(mutant.id).is_some();
    let table: Vec<&Mutant> = MUTANTS.iter().filter(protocol).chain(MORE).collect();
    let only = std::env::var("MUTANT").ok();
    // These small worlds are too small for one of them; it is looked for by name only.
    let wanted = |mutant: &&Mutant| match &only {
        Some(only) => only == mutant.id,
        None => mutant.id != "refusal-forgotten-at-conflict",
    };
    let table: Vec<&Mutant> = table.into_iter().filter(wanted).collect();
    let grounds = worlds::hunting_grounds();
    let next = AtomicUsize::new(0);
    let escaped = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(mutant) = table.get(next.fetch_add(1, Ordering::Relaxed)) {
                    plant(Some(mutant));
                    let found = match own(mutant.id) {
                        Some(world) => explore(world, MOST).violation,
                        None => grounds.iter().find_map(|setting| explore(setting, MOST).violation),
                    };
                    match found {
                        Some((violation, path)) => println!(
                            "{}: {}, {} after {} moves",
                            mutant.id,
                            violation.rule,
                            violation.says,
                            path.len()
                        ),
                        None => {
                            escaped.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(mutant.id);
                        }
                    }
                }
            });
        }
    });
    let escaped = escaped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(escaped.is_empty(), "not found: {escaped:?}");
}
