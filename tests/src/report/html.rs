//! A report as one page that needs nothing else: no script, no font, no picture, no network.

use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::rows::{Row, rows};
use super::svg::{draw, elapsed, repeated};
use super::{Chart, Check, Fate, Item, Level, Outcome, Report, Strictness, Verdict, printable};

const STYLE: &str = include_str!("page.css");

/// In the order in which they are counted.
static VERDICTS: [Verdict; 5] = [
    Verdict::Fail,
    Verdict::Weak,
    Verdict::Pass,
    Verdict::NotExercised,
    Verdict::Waived { reason: String::new() },
];

impl Report {
    /// The report as a page for people, read as severely as this.
    pub fn html(&self, strictness: Strictness) -> String {
        let outcome = self.outcome(strictness);
        let subject = printable(&self.subject);
        // The page may use its own style and nothing else, whatever a subject manages to write into it.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'",
            Base64::encode_string(&Sha256::digest(STYLE))
        );
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    title { (subject) " " (outcome) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.head(&subject, outcome, strictness))
                    main {
                        (self.failures())
                        (self.table())
                    }
                    footer {
                        "Made by token-refresh-conformance " (self.kit) ". "
                        "What the verdicts mean: "
                        b { "Pass" } ", it does what it should. "
                        b { "Fail" } ", it does not. "
                        b { "Weak" } ", it is right because it does less than it could. "
                        b { "Not exercised" } ", the situation never came up. "
                        b { "Waived" } ", it says that it does not do this, and why."
                    }
                }
            }
        };
        page.into_string()
    }

    fn head(&self, subject: &str, outcome: Outcome, strictness: Strictness) -> Markup {
        let class = match outcome {
            Outcome::Conforms => "pass",
            Outcome::Deviates => "fail",
            Outcome::Void => "not-exercised",
        };
        html! {
            header {
                p.kind { "Token refresh: conformance report" }
                h1 { bdi { (subject) } " " span class={ "outcome " (class) } { (outcome) } }
                p.facts {
                    (self.checks.len()) " checks, read "
                    (match strictness { Strictness::Lenient => "leniently", Strictness::Strict => "strictly" })
                    @if let Some(sample) = &self.sample {
                        ", " (sample.cases) " random scripts from seed " (sample.seed)
                    }
                }
                div.bar aria-hidden="true" { (self.bar()) }
                ul.counts {
                    @for verdict in &VERDICTS {
                        li class=(verdict.name()) { b { (self.count(verdict)) } " " (verdict) }
                    }
                }
            }
        }
    }

    /// How much of the whole each verdict has.
    fn bar(&self) -> Markup {
        let parts = VERDICTS.iter().scan(0, |end, verdict| {
            let begin = *end;
            *end += self.count(verdict);
            Some((verdict, begin, *end - begin))
        });
        html! {
            svg width="100%" height="12" viewBox={ "0 0 " (self.checks.len().max(1)) " 1" } preserveAspectRatio="none" {
                @for (verdict, begin, count) in parts {
                    rect class=(verdict.name()) x=(begin) y="0" width=(count) height="1" {}
                }
            }
        }
    }

    fn failures(&self) -> Markup {
        let failures: Vec<&Check> =
            self.checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
        html! {
            @if !failures.is_empty() {
                section aria-labelledby="failures" {
                    h2 #failures { "What fails" }
                    @for check in failures { (failure(check)) }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            section aria-labelledby="requirements" {
                h2 #requirements { "All requirements" }
                table {
                    thead { tr { th scope="col" { "Requirement" } th scope="col" { "Verdict" } th scope="col" { "What it says" } } }
                    tbody { @for row in rows(self) { (table_row(&row)) } }
                }
            }
        }
    }
}

fn failure(check: &Check) -> Markup {
    let id = printable(&check.id);
    html! {
        article id=(anchor(check)) {
            h3 { (id) " " (level(check.level)) " " (chip(&check.verdict)) }
            @let says = if check.says.is_empty() { super::rows::statement(&check.id) } else { Some(check.says.clone()) };
            @if let Some(says) = says { p.says { (prose(&says)) } }
            @let others: Vec<&String> = check.requirements.iter().filter(|other| **other != check.id).collect();
            @if !others.is_empty() {
                p.facts { "Requirements: " @for (index, other) in others.iter().enumerate() {
                    @if index > 0 { ", " } a href={ "#r-" (slug(other)) } { (other) }
                } }
            }
            @if !check.detail.is_empty() { p.detail { (printable(&check.detail)) } }
            @if let Some(script) = &check.script {
                h4 { "The smallest script that shows it" }
                pre tabindex="0" { code { (printable(script).trim_end()) } }
            }
            @if let Some(chart) = &check.history {
                h4 { "What happened" }
                figure {
                    div.scroll tabindex="0" role="region" aria-label={ "Sequence chart of " (id) } {
                        (draw(chart, &format!("Sequence chart of {id}; its text follows")))
                    }
                    details { summary { "As text" } (story(chart)) }
                }
            }
        }
    }
}

/// A chart in words.
fn story(chart: &Chart) -> Markup {
    let name = |lane: &super::Lane| {
        chart.participants().get(lane.index()).map_or("somebody", |participant| participant.name.as_str())
    };
    html! {
        ol.story {
            @for item in chart.items() {
                li {
                    @if item.at() > 0 { span.time { "+" (elapsed(item.at())) } " " }
                    @match item {
                        Item::Message { from, to, text, fate, .. } => {
                            b { (name(from)) } " to " b { (name(to)) } ": " (printable(text))
                            @if *fate == Fate::Lost { " (lost)" }
                        }
                        Item::Note { lane, text, .. } => { b { (name(lane)) } " " (printable(text)) }
                        Item::Divider { text, .. } => i { (printable(text)) },
                        Item::Violation { text, .. } => strong { (printable(text)) },
                        Item::Repeated { items, times, .. } => i { (repeated(*items, *times)) },
                    }
                }
            }
        }
    }
}

fn table_row(row: &Row<'_>) -> Markup {
    html! {
        tr id={ "r-" (slug(row.id)) } {
            th scope="row" { (printable(row.id)) (level(row.level)) }
            td { (chip(&row.verdict)) }
            td {
                @if let Some(says) = &row.says { p { (prose(says)) } }
                @if !row.checks.is_empty() {
                    ul.checks { @for check in &row.checks { li { (found(check, row)) } } }
                }
            }
        }
    }
}

/// What one check contributes to the row of a requirement.
fn found(check: &Check, row: &Row<'_>) -> Markup {
    let own = check.id == row.id;
    html! {
        @if !own { (chip(&check.verdict)) " " }
        @if check.verdict == Verdict::Fail {
            a href={ "#" (anchor(check)) } { @if own { "How it fails" } @else { (printable(&check.id)) } }
        } @else if !own {
            code { (printable(&check.id)) }
        }
        @if !own && !check.says.is_empty() { " " (prose(&check.says)) }
        @if let Verdict::Waived { reason } = &check.verdict { " " q { (printable(reason)) } }
        @if !check.detail.is_empty() && check.verdict != Verdict::Fail { span.detail { " " (printable(&check.detail)) } }
    }
}

fn chip(verdict: &Verdict) -> Markup {
    html! { span class={ "chip " (verdict.name()) } { (verdict) } }
}

fn level(level: Level) -> Markup {
    html! { " " span.level { (level) } }
}

fn anchor(check: &Check) -> String {
    format!("c-{}", slug(&check.id))
}

/// Something that may stand in a link to a place in the page.
fn slug(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The little markdown that the catalogue uses: `code`, and *emphasis* outside of it.
fn prose(text: &str) -> Markup {
    let text = printable(text);
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (emphasis(piece)) }
        }
    }
}

/// A star that has no partner, or spaces beside it, is a star.
fn emphasis(text: &str) -> Markup {
    let pieces: Vec<&str> = text.split('*').collect();
    let is_word = |piece: &&str| !piece.is_empty() && piece.trim() == *piece;
    if pieces.len().is_multiple_of(2) || !pieces.iter().skip(1).step_by(2).all(is_word) {
        return html! { (text) };
    }
    html! {
        @for (index, piece) in pieces.iter().enumerate() {
            @if index % 2 == 1 { em { (piece) } } @else { (piece) }
        }
    }
}
