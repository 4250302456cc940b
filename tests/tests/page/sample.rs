//! A report with everything in it, made of a real failure.

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::judge::{Violation, verdict};
use token_refresh_conformance::report::{Chart, Check, Level, Report, Sample, Verdict};
use token_refresh_conformance::script::Script;
use token_refresh_conformance::shrink::Shrinking;
use token_refresh_conformance::subject::{Settings, Subject};
use token_refresh_conformance::vocabulary::{Input, Output, Reply};

/// A machine that forgets those who wait if the refresh fails.
struct Forgetful(CoreSubject);

impl Subject for Forgetful {
    fn start(settings: &Settings, seed: u64, now: u64) -> Self {
        Self(CoreSubject::start(settings, seed, now))
    }

    fn call(&mut self, input: &Input, now: u64) -> Reply {
        let mut reply = self.0.call(input, now);
        reply.outputs.retain(|output| !matches!(output, Output::Resolve { outcome: Err(_), .. }));
        reply
    }
}

/// A machine that answers each caller twice.
struct Eager(CoreSubject);

impl Subject for Eager {
    fn start(settings: &Settings, seed: u64, now: u64) -> Self {
        Self(CoreSubject::start(settings, seed, now))
    }

    fn call(&mut self, input: &Input, now: u64) -> Reply {
        let mut reply = self.0.call(input, now);
        let again: Vec<Output> =
            reply.outputs.iter().filter(|output| matches!(output, Output::Resolve { .. })).cloned().collect();
        reply.outputs.extend(again);
        reply
    }
}

/// All verdicts, two real failures, and words that a page must not take for its own.
pub(crate) fn report() -> Report {
    let mut report = Report::new(HOSTILE, Some(Sample { seed: 1, cases: 1_500 }));
    report.checks = vec![
        passed("CORE-01", Level::Must),
        failed::<Forgetful>("CORE-02", FORGETFUL),
        failed::<Eager>("I-04", EAGER),
        Check { verdict: Verdict::Weak, detail: HOSTILE.to_owned(), ..passed("CORE-08", Level::Should) },
        Check { verdict: Verdict::NotExercised, ..passed("MP-03", Level::Must) },
        Check { verdict: Verdict::Waived { reason: HOSTILE.to_owned() }, ..passed("PERS-05", Level::Must) },
        Check {
            says: "fifty requests are refused at once".to_owned(),
            requirements: vec!["CORE-01".to_owned(), "CORE-05".to_owned()],
            ..passed("burst-50", Level::Must)
        },
    ];
    report
}

/// Markup, quotes, a control character, a text that runs from right to left, and no end.
pub(crate) const HOSTILE: &str = "./client \"'><script>document.title='taken'</script><img src=x onerror=alert(1)> & \u{1b}[31m \u{202e}tfel";

const FORGETFUL: &str = "world processes=2 store=shared server=strict policy=once:30s lifetime=5m\nA accepts 0\nA refuses 0\nA watches\nA hears well\nA hears refused\nA hears well\nwait 5s\nB wants\nB watches";
const EAGER: &str =
    "world store=memory server=strict lifetime=5m\nA wants\nA refuses 0\nA hears well\nwait 1s\nA wants";

fn passed(id: &str, level: Level) -> Check {
    Check { verdict: Verdict::Pass, requirements: vec![id.to_owned()], ..Check::new(id, level) }
}

fn failed<S: Subject>(id: &str, script: &str) -> Check {
    let (script, violation) = smallest::<S>(script.parse().expect("it is a script"));
    Check {
        verdict: Verdict::Fail,
        detail: violation.says.clone(),
        script: Some(script.to_string()),
        history: Some(Chart::of(&run::<S>(&script), Some(&violation))),
        ..passed(id, Level::Must)
    }
}

fn smallest<S: Subject>(script: Script) -> (Script, Violation) {
    let first = |script: &Script| verdict::<S>(script).into_iter().next();
    let mut shrinking = Shrinking::new(script);
    while if first(shrinking.candidate()).is_some() { shrinking.failed() } else { shrinking.passed() } {}
    let script = shrinking.candidate().clone();
    let violation = first(&script).expect("the smallest script fails too");
    (script, violation)
}
