//! A report as `JUnit` XML, for the servers that show tests.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Check, Report, Strictness, Verdict, printable};

impl Report {
    /// The report as `JUnit` XML, read as severely as this: a `failure` is what keeps the subject from conforming, and
    /// everything else that did not pass is `skipped`, with the reason.
    pub fn junit(&self, strictness: Strictness) -> String {
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let _ = self.write_junit(&mut Writer::new_with_indent(&mut bytes, b' ', 2), strictness);
        String::from_utf8_lossy(&bytes).into_owned() + "\n"
    }

    fn write_junit(&self, writer: &mut Writer<&mut Vec<u8>>, strictness: Strictness) -> io::Result<()> {
        let failures = self.checks.iter().filter(|check| check.counts_against(strictness)).count();
        let skipped = self.checks.iter().filter(|check| is_skipped(check, strictness)).count();
        let (tests, failures, skipped) =
            (self.checks.len().to_string(), failures.to_string(), skipped.to_string());
        let subject = printable(&self.subject);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let suite = writer.create_element("testsuite").with_attributes([
            ("name", subject.as_str()),
            ("tests", tests.as_str()),
            ("failures", failures.as_str()),
            ("skipped", skipped.as_str()),
            ("errors", "0"),
        ]);
        suite.write_inner_content(|writer| {
            self.checks.iter().try_for_each(|check| write_check(writer, check, strictness))
        })?;
        Ok(())
    }
}

fn is_skipped(check: &Check, strictness: Strictness) -> bool {
    !check.counts_against(strictness) && check.verdict != Verdict::Pass
}

fn write_check(writer: &mut Writer<&mut Vec<u8>>, check: &Check, strictness: Strictness) -> io::Result<()> {
    let id = printable(&check.id);
    let level = check.level.to_string();
    let case = writer
        .create_element("testcase")
        .with_attributes([("classname", level.as_str()), ("name", id.as_str())]);
    if check.verdict == Verdict::Pass {
        case.write_empty()?;
        return Ok(());
    }
    let name = if is_skipped(check, strictness) { "skipped" } else { "failure" };
    let message = message(check);
    case.write_inner_content(|writer| {
        let result = writer.create_element(name).with_attribute(("message", message.as_str()));
        match &check.script {
            Some(script) => result.write_text_content(BytesText::new(&printable(script)))?,
            None => result.write_empty()?,
        };
        Ok(())
    })?;
    Ok(())
}

fn message(check: &Check) -> String {
    let about = match &check.verdict {
        Verdict::Waived { reason } => reason,
        Verdict::Pass | Verdict::Fail | Verdict::Weak | Verdict::NotExercised => &check.detail,
    };
    let mut message = check.verdict.to_string();
    if !check.requirements.is_empty() {
        message = format!("{message} ({})", check.requirements.join(", "));
    }
    if about.is_empty() { message } else { printable(&format!("{message}: {about}")) }
}
