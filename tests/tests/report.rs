//! Reports: what counts, and the charts in them.

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::executor::run;
use token_refresh_conformance::judge::Violation;
use token_refresh_conformance::report::{
    Chart, Check, Fate, Item, Level, Outcome, Report, Strictness, Verdict,
};
use token_refresh_conformance::script::Script;

#[test]
fn what_counts_against_a_subject() {
    let waived = Verdict::Waived { reason: "there is no store".to_owned() };
    for (verdict, level, lenient, strict) in [
        (Verdict::Pass, Level::Must, Outcome::Conforms, Outcome::Conforms),
        (Verdict::Fail, Level::Must, Outcome::Deviates, Outcome::Deviates),
        (Verdict::Fail, Level::Should, Outcome::Conforms, Outcome::Deviates),
        (Verdict::Fail, Level::May, Outcome::Conforms, Outcome::Conforms),
        (Verdict::Weak, Level::Must, Outcome::Conforms, Outcome::Deviates),
        (Verdict::Weak, Level::Should, Outcome::Conforms, Outcome::Conforms),
        (Verdict::NotExercised, Level::Must, Outcome::Conforms, Outcome::Deviates),
        (Verdict::NotExercised, Level::Should, Outcome::Conforms, Outcome::Conforms),
        (waived, Level::Must, Outcome::Conforms, Outcome::Conforms),
    ] {
        let mut report = Report::new("a subject", None);
        let passed = Check { verdict: Verdict::Pass, ..Check::new("CORE-01", Level::Must) };
        report.checks = vec![passed, Check { verdict: verdict.clone(), ..Check::new("CORE-02", level) }];
        assert_eq!(report.outcome(Strictness::Lenient), lenient, "{verdict} of a {level}");
        assert_eq!(report.outcome(Strictness::Strict), strict, "{verdict} of a {level}, strictly");
    }
}

#[test]
fn a_run_in_which_nothing_was_exercised_shows_nothing() {
    let mut report = Report::new("a subject", None);
    assert_eq!(report.outcome(Strictness::Lenient), Outcome::Void);
    report.checks.push(Check::new("CORE-01", Level::Must));
    assert_eq!(report.outcome(Strictness::Lenient), Outcome::Void);
    report.checks.push(Check { verdict: Verdict::Fail, ..Check::new("CORE-08", Level::Should) });
    assert_eq!(report.outcome(Strictness::Lenient), Outcome::Conforms);
}

#[test]
fn a_chart_tells_what_happened_up_to_the_violation() {
    let script: Script =
        "world store=memory server=strict lifetime=5m\nA refuses 0\nA hears nothing\nA wants"
            .parse()
            .expect("it is a script");
    let history = run::<CoreSubject>(&script);
    let broken = Violation { rule: "I-05", at: history.calm - 1, says: "nobody is told".to_owned() };
    let chart = Chart::of(&history, Some(&broken));
    let names: Vec<&str> = chart.participants().iter().map(|participant| participant.name.as_str()).collect();
    assert_eq!(names, ["callers", "client", "authorization server", "API"]);
    let lost = chart.items().iter().filter(|item| matches!(item, Item::Message { fate: Fate::Lost, .. }));
    assert_eq!(lost.count(), 1, "{chart:#?}");
    assert!(
        matches!(chart.items().last(), Some(Item::Violation { text, lane: Some(_), .. }) if text == "I-05: nobody is told"),
        "{chart:#?}"
    );
    assert!(!chart.items().iter().any(|item| matches!(item, Item::Divider { .. })), "{chart:#?}");
}

#[test]
fn a_chart_of_a_long_wait_is_short() {
    let script: Script =
        "world processes=2 store=shared server=strict lifetime=5m\nA refuses 0\nA hears well\nA hears well\nA sends promptly\nB wants\nB watches\nB refuses 0\nB watches"
            .parse()
            .expect("it is a script");
    let history = run::<CoreSubject>(&script);
    let chart = Chart::of(&history, None);
    assert!(chart.items().iter().any(|item| matches!(item, Item::Repeated { .. })), "{chart:#?}");
    assert!(chart.items().len() < history.entries.len(), "{} items", chart.items().len());
}
