//! Certifies machines: plays histories to them, judges them, and makes what fails small.
//!
//! For a machine in Rust [`conformance!`](crate::conformance) does it, one test for each rule:
//!
//! ```
//! use token_refresh_conformance::certify::Plan;
//! use token_refresh_conformance::{CoreSubject, conformance};
//!
//! conformance!(CoreSubject, Plan::default().cases(20).waive("rule 7", "only for the sake of this example"));
//! # fn main() {}
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::catalogue;
use crate::generate::script;
use crate::history::History;
use crate::judge::{Judgement, RULES, Violation, hear, level, statement};
use crate::profile::Profile;
use crate::report::{Chart, Check, Report, Sample, Verdict};
use crate::script::Script;
use crate::shrink::Shrinking;
use crate::stage::{Local, Stage};
use crate::subject::Subject;

/// How many steps a random script has at most.
const STEPS: usize = 40;
/// After so many scripts to which no answer came no more are tried: each takes a time limit.
const COLLAPSES: usize = 3;
/// How long it may take in all to make failing scripts small.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to try.
#[derive(Clone, Debug)]
pub struct Plan {
    profile: Profile,
    seed: u64,
    cases: u32,
    only: Vec<String>,
    waivers: Vec<(String, String)>,
}

impl Default for Plan {
    /// All rules, by 500 random scripts of each family of worlds.
    fn default() -> Self {
        Self { profile: Profile::default(), seed: 1, cases: 500, only: Vec::new(), waivers: Vec::new() }
    }
}

impl Plan {
    /// Asks only for what the subject knows.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Where chance begins.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many random scripts of each family of worlds are tried. None at all: nor is any other, and nothing is shown.
    #[must_use]
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// Only rules whose names begin like one of these; none: all.
    #[must_use]
    pub fn only(mut self, beginnings: Vec<String>) -> Self {
        self.only = beginnings;
        self
    }

    /// The subject does not keep this rule, for this reason; it is not held against it.
    #[must_use]
    pub fn waive(mut self, rule: impl Into<String>, reason: impl Into<String>) -> Self {
        self.waivers.push((rule.into(), reason.into()));
        self
    }

    /// The rules that are asked for.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        RULES.iter().copied().filter(|rule| {
            self.only.is_empty() || self.only.iter().any(|beginning| rule.starts_with(beginning.as_str()))
        })
    }

    fn waiver(&self, rule: &str) -> Option<&str> {
        self.waivers.iter().find(|(waived, _)| waived == rule).map(|(_, reason)| reason.as_str())
    }
}

/// Certifies machines of this type.
pub fn certify_type<S: Subject>(plan: &Plan) -> Report {
    certify(&mut Local::<S>::default(), std::any::type_name::<S>(), plan, &mut |_| {})
}

/// How far a certification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many scripts were tried, of so many.
    Trying(u64, u64),
    /// The script that breaks this rule is made small.
    Shrinking(&'static str),
}

/// Certifies the machines of this stage: in this process ([`Local`]) or in another one
/// ([`Program`](crate::protocol::Program)).
pub fn certify(
    stage: &mut dyn Stage,
    subject: &str,
    plan: &Plan,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let families = plan.profile.families();
    let total = u64::from(plan.cases) * families.len() as u64;
    let mut findings = Findings::default();
    let random = (0..u64::from(plan.cases))
        .flat_map(|case| families.iter().map(move |family| script(*family, STEPS, seed_of(plan.seed, case))));
    let known = |script: &Script| plan.cases > 0 && plan.profile.knows(&script.world);
    for mut script in corpus().into_iter().filter(known).chain(random) {
        if findings.collapses == COLLAPSES {
            break;
        }
        plan.profile.fit(&mut script.world);
        progress(Progress::Trying(findings.scripts.min(total), total));
        let (history, judgement) = hear(stage, &script);
        findings.take(&script, &history, &judgement);
    }
    let mut report = Report::new(subject, Some(Sample { seed: plan.seed, cases: total }));
    let failed: Vec<&str> = plan.rules().filter(|rule| findings.failures.contains_key(rule)).collect();
    let deadline = Instant::now() + PATIENCE;
    for (index, rule) in (0..).zip(&failed) {
        progress(Progress::Shrinking(rule));
        let share = deadline.saturating_duration_since(Instant::now())
            / (failed.len() - index).try_into().unwrap_or(1);
        findings.shrink(rule, stage, &plan.profile, Instant::now() + share);
    }
    report.checks = plan.rules().map(|rule| findings.check(rule, plan.waiver(rule), stage)).collect();
    report
}

/// The verdict on one script: what it breaks, and by which machines.
pub fn replay(stage: &mut dyn Stage, subject: &str, plan: &Plan, script: &Script) -> Report {
    let (history, judgement) = hear(stage, script);
    let mut findings = Findings::default();
    findings.take(script, &history, &judgement);
    let mut report = Report::new(subject, None);
    report.checks = plan.rules().map(|rule| findings.check(rule, plan.waiver(rule), stage)).collect();
    report
}

/// Fails a test if this rule was broken.
///
/// # Panics
/// If it was, and was not waived; the message has the smallest script that shows it.
pub fn require(report: &Report, rule: &str) {
    for check in report.checks.iter().filter(|check| check.id == rule) {
        let script = check.script.as_deref().unwrap_or_default();
        assert!(
            check.verdict != Verdict::Fail,
            "{rule} is broken: {}\n{}\n\n{script}",
            check.detail,
            statement(rule)
        );
    }
}

/// A script file of what fails: it says why, and can be replayed.
pub fn script_file(check: &Check, command: &str) -> String {
    let comment = |text: &str| text.lines().fold(String::new(), |all, line| format!("{all}# {line}\n"));
    let head = format!(
        "{} is broken: {}\n{}\nRun it again: {command}",
        check.id,
        check.detail,
        statement(&check.id)
    );
    format!("{}{}", comment(&head), check.script.as_deref().unwrap_or_default())
}

/// Scripts that machines have failed before.
fn corpus() -> Vec<Script> {
    REGRESSIONS.iter().filter_map(|text| text.parse().ok()).collect()
}

const REGRESSIONS: &[&str] = &[
    include_str!("../regressions/clock-back-opens-no-window.script"),
    include_str!("../regressions/demand-joins-what-is-owed.script"),
    include_str!("../regressions/expired-adoption-withdraws.script"),
    include_str!("../regressions/foreign-sign-in-lifts-the-breaker.script"),
    include_str!("../regressions/late-grant-has-its-own-time.script"),
    include_str!("../regressions/late-refusal-stops-the-claim.script"),
    include_str!("../regressions/own-sign-in-lands-late.script"),
    include_str!("../regressions/own-tombstone-lands-late.script"),
    include_str!("../regressions/own-vacant-claim-lands-late.script"),
    include_str!("../regressions/refusal-is-marked-in-the-end.script"),
    include_str!("../regressions/refusal-starts-nothing-late.script"),
    include_str!("../regressions/reset-begins-a-new-round.script"),
    include_str!("../regressions/reset-begins-a-new-row.script"),
    include_str!("../regressions/save-is-tried-for-its-time.script"),
    include_str!("../regressions/save-limit-counts-from-the-save.script"),
    include_str!("../regressions/sign-in-begins-one-load.script"),
    include_str!("../regressions/sign-out-begins-nothing.script"),
    include_str!("../regressions/takeover-given-back-keeps-the-count.script"),
    include_str!("../regressions/the-sixth-exchange-waits.script"),
    include_str!("../regressions/unanswered-first-claim-is-settled.script"),
    include_str!("../regressions/unpublished-token-breaks-the-row.script"),
];

fn seed_of(seed: u64, case: u64) -> u64 {
    seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(case)
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    scripts: u64,
    collapses: usize,
    /// By how many scripts each rule was exercised.
    examined: BTreeMap<&'static str, u64>,
    /// The smallest script so far that breaks a rule, and how.
    failures: BTreeMap<&'static str, (Script, Violation)>,
}

impl Findings {
    fn take(&mut self, script: &Script, history: &History, judgement: &Judgement) {
        self.scripts += 1;
        self.collapses += usize::from(history.collapse.is_some());
        for rule in &judgement.examined {
            *self.examined.entry(rule).or_default() += 1;
        }
        self.note(script, judgement);
    }

    fn note(&mut self, script: &Script, judgement: &Judgement) {
        for violation in &judgement.violations {
            let smallest =
                self.failures.get(violation.rule).map_or(usize::MAX, |(known, _)| known.steps.len());
            if script.steps.len() < smallest {
                self.failures.insert(violation.rule, (script.clone(), violation.clone()));
            }
        }
    }

    fn shrink(&mut self, rule: &'static str, stage: &mut dyn Stage, profile: &Profile, deadline: Instant) {
        let Some((script, _)) = self.failures.get(rule).cloned() else { return };
        let mut search = Shrinking::new(script);
        while Instant::now() < deadline {
            let candidate = search.candidate().clone();
            // A simpler world may ask for what the subject does not know.
            if !profile.knows(&candidate.world) {
                if search.passed() {
                    continue;
                }
                break;
            }
            let (_, judgement) = hear(stage, &candidate);
            // A smaller script for another rule comes for nothing.
            self.note(&candidate, &judgement);
            let failure = judgement.violations.into_iter().find(|violation| violation.rule == rule);
            let more = match failure {
                Some(violation) => {
                    self.failures.insert(rule, (candidate, violation));
                    search.failed()
                }
                None => search.passed(),
            };
            if !more {
                break;
            }
        }
    }

    fn check(&self, rule: &'static str, waiver: Option<&str>, stage: &mut dyn Stage) -> Check {
        let mut check = Check::new(rule, level(rule));
        match catalogue::find(rule) {
            Some(entry) => check.requirements.push(entry.id().to_owned()),
            None => statement(rule).clone_into(&mut check.says),
        }
        let examined = self.examined.get(rule).copied().unwrap_or_default();
        check.verdict = if examined == 0 { Verdict::NotExercised } else { Verdict::Pass };
        check.detail = format!("exercised by {examined} of {} scripts", self.scripts);
        if let Some((script, found)) = self.failures.get(rule) {
            let (history, judgement) = hear(stage, script);
            let again = judgement.violations.iter().find(|violation| violation.rule == rule);
            check.verdict = match waiver {
                Some(reason) => Verdict::Waived { reason: reason.to_owned() },
                None => Verdict::Fail,
            };
            check.detail = match again {
                Some(violation) => violation.says.clone(),
                None => format!("{} (once, but not when the same script was played again)", found.says),
            };
            check.script = Some(script.to_string());
            check.history = Some(Chart::of(&history, again));
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::profile::PolicyName;
    use crate::stage::Collapse;
    use crate::subject::{Policy, Settings};
    use crate::vocabulary::{Input, Reply};

    /// Knows one policy, and answers nothing.
    struct Narrow;

    impl Stage for Narrow {
        fn start(&mut self, _: u8, settings: &Settings, _: u64, _: u64) -> Result<(), Collapse> {
            assert!(matches!(settings.policy, Policy::Never { .. }), "asked for {:?}", settings.policy);
            Ok(())
        }

        fn call(&mut self, _: u8, _: &Input, _: u64) -> Result<Reply, Collapse> {
            Err(Collapse("nothing".to_owned()))
        }
    }

    #[test]
    fn what_fails_is_made_small_within_what_the_subject_knows() {
        let profile = Profile { shared: false, ambient: false, policies: vec![PolicyName::Never] };
        let plan = Plan::default().cases(3).only(vec!["I-25".to_owned()]).profile(profile);
        let report = certify(&mut Narrow, "narrow", &plan, &mut |_| {});
        assert!(report.checks.iter().all(|check| check.verdict == Verdict::Fail));
        let script = report.checks[0].script.as_deref().unwrap_or_default();
        assert!(script.contains("policy=never"), "{script}");
    }

    #[test]
    fn whatever_failed_before_is_tried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        let files = folder.read_dir().expect("there is a folder of regressions");
        let texts =
            files.map(|file| std::fs::read_to_string(file.expect("listed").path()).expect("it is text"));
        assert_eq!(
            texts.collect::<BTreeSet<_>>(),
            REGRESSIONS.iter().map(|text| (*text).to_owned()).collect()
        );
        assert_eq!(corpus().len(), REGRESSIONS.len());
    }
}
