//! The machine of this workspace under random scripts. `SCRIPTS=10` runs ten times as many.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::generate::{Family, Scripts};
use token_refresh_conformance::judge::verdict;
use token_refresh_conformance::script::{How, Script, Step, World};
use token_refresh_conformance::vocabulary::{Output, Retry};

#[test]
fn one_process_without_store_keeps_the_rules() {
    holds(Family::Memory, 8_000);
}

#[test]
fn one_process_with_store_keeps_the_rules() {
    holds(Family::Stored, 8_000);
}

#[test]
fn several_processes_with_one_store_keep_the_rules() {
    holds(Family::Several, 8_000);
}

fn holds(family: Family, scripts: u32) {
    let times = std::env::var("SCRIPTS").map_or(1, |times| times.parse().expect("SCRIPTS is a number"));
    let config = Config {
        cases: scripts * times,
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    // Always the same scripts: what fails here fails everywhere. What is found is kept as text, in regressions/.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&Scripts { family, steps: 40 }, |script| match verdict::<
            CoreSubject,
        >(
            &script
        )
        .first()
        {
            None => Ok(()),
            Some(violation) => Err(TestCaseError::fail(format!("{violation:?}"))),
        });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => {
            panic!("{reason}\n\n{script}\n{}", run::<CoreSubject>(&script));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Full jitter makes one delay say nothing; the mean of many has to grow, and no two machines may be in step.
#[test]
fn retry_04_delays_grow_and_are_spread() {
    let attempts = [Step::Answer(0, How::Unavailable), Step::Wait(60_000), Step::Want(0)];
    let steps: Vec<Step> =
        std::iter::once(Step::Refuse(0, 0)).chain(attempts.into_iter().cycle().take(12)).collect();
    let delays: Vec<Vec<u64>> = (0..200)
        .map(|seed| {
            let history = run::<CoreSubject>(&Script {
                world: World { seed, ..World::default() },
                steps: steps.clone(),
            });
            let failures = history.entries.iter().flat_map(|entry| {
                entry.reply.outputs.iter().filter_map(|output| match output {
                    Output::Resolve { outcome: Err(failure), .. } => match failure.retry {
                        Retry::At(instant) => Some(instant - entry.clock),
                        Retry::Never => None,
                    },
                    _ => None,
                })
            });
            failures.collect()
        })
        .collect();
    let mean =
        |attempt: usize| delays.iter().map(|delays| delays[attempt]).sum::<u64>() / delays.len() as u64;
    for (attempt, most) in [500, 1_000, 2_000, 4_000].into_iter().enumerate() {
        assert!(delays.iter().all(|delays| delays[attempt] <= most), "attempt {attempt}: at most {most} ms");
        let expected = most / 2;
        assert!(mean(attempt).abs_diff(expected) < expected / 4, "attempt {attempt}: {} ms", mean(attempt));
    }
    let mut last: Vec<u64> = delays.iter().map(|delays| delays[3]).collect();
    last.sort_unstable();
    last.dedup();
    assert!(last.len() > 150, "only {} different delays among 200 machines", last.len());
}
