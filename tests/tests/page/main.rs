//! Reports as a page, as JSON and as `JUnit` XML. The page is opened in a real browser too: `--ignored`, if there is one.

mod browser;
mod sample;

use token_refresh_conformance::report::{Report, Strictness};

use sample::{HOSTILE, report};

/// The page of the sample.
fn page() -> String {
    report().html(Strictness::Lenient)
}

#[test]
fn a_page_takes_nothing_that_comes_from_a_subject_for_its_own() {
    let page = page();
    assert!(HOSTILE.contains("<script>"));
    assert!(!page.contains("<script") && !page.contains("<img"), "markup of the subject");
    assert!(!page.contains('\u{1b}'), "a control character");
    assert!(page.contains("&lt;script&gt;document.title='taken'&lt;/script&gt;"), "the subject is named");
}

#[test]
fn a_page_needs_nothing_else() {
    let page = page();
    for resource in ["http:", "https:", "url(", "@import", " src=\"", "<link", "style=\"", " onclick"] {
        assert!(!page.contains(resource), "{resource}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}

#[test]
fn a_page_shows_each_requirement_with_its_text_and_each_failure_with_its_script_and_chart() {
    let page = page();
    for text in [
        "Every ticket gets exactly one outcome",
        "At most one exchange is in flight",
        "<code>burst-50</code>",
        "fifty requests are refused at once",
        "does not conform",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("<svg class=\"chart\"").count(), 2);
    assert_eq!(page.matches("The smallest script that shows it").count(), 2);
    assert!(page.contains("A refuses 0"));
}

#[test]
fn json_says_its_version_and_all_that_is_known() {
    let text = report().json(Strictness::Strict);
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((&json["version"], &json["subject"]), (&1.into(), &HOSTILE.into()));
    assert_eq!((&json["outcome"], &json["strict"]), (&"does not conform".into(), &true.into()));
    let checks = json["checks"].as_array().expect("there are checks");
    let verdicts: Vec<&str> = checks.iter().filter_map(|check| check["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["pass", "fail", "fail", "weak", "not-exercised", "waived", "pass"]);
    let counting: Vec<bool> = checks.iter().filter_map(|check| check["counts_against"].as_bool()).collect();
    assert_eq!(counting, [false, true, true, false, true, false, false]);
    assert_eq!(checks[5]["reason"], HOSTILE);
    assert!(checks[1]["script"].as_str().is_some_and(|script| script.starts_with("world ")));
    let chart = &checks[1]["chart"];
    assert_eq!(chart["participants"][0]["role"], "callers");
    assert!(
        chart["items"].as_array().is_some_and(|items| items.iter().any(|item| item["kind"] == "violation"))
    );
}

#[test]
fn junit_xml_is_well_formed_and_counts() {
    let text = report().junit(Strictness::Lenient);
    let mut reader = quick_xml::Reader::from_str(&text);
    reader.config_mut().check_end_names = true;
    loop {
        match reader.read_event().expect("it is well-formed") {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(element) | quick_xml::events::Event::Empty(element) => {
                let attributes = element.attributes().collect::<Result<Vec<_>, _>>();
                assert!(attributes.is_ok(), "{attributes:?}");
            }
            _ => {}
        }
    }
    assert!(text.contains(r#"tests="7" failures="2" skipped="3""#), "{text}");
    assert_eq!(text.matches("<failure").count(), 2);
    assert!(!text.contains('\u{1b}') && !text.contains("<script>"), "{text}");
}

#[test]
fn an_empty_report_is_a_page_too() {
    let page = Report::new("nothing", None).html(Strictness::Strict);
    assert!(page.contains("nothing was shown"));
}
