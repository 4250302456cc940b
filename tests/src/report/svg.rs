//! A sequence chart as a picture. All sizes are in pixels; letters have one width, so that no browser is needed to know
//! how much room a text takes.

use maud::{Markup, html};

use super::chart::{Chart, Fate, Item, Lane, Manner, Participant, Role};

const LETTER: usize = 7;
const LINE: usize = 15;
/// The longest line of a text, in letters.
const MEASURE: usize = 38;
/// The column of instants at the left.
const GUTTER: usize = 76;
const MARGIN: usize = 12;
const HEAD: usize = 30;
/// The least distance of two lanes.
const LANE: usize = 118;
/// From so many items on, the heads stand at the bottom too.
const LONG: usize = 14;

/// Draws a chart; `name` is what it is called for those who cannot see it.
pub(super) fn draw(chart: &Chart, name: &str) -> Markup {
    let plan = Plan::of(chart);
    let rows = plan.rows(chart);
    let top = MARGIN + HEAD + 10;
    let end = rows.last().map_or(top, |row| row.y + row.height) + 6;
    let foot = chart.items().len() >= LONG;
    let height = end + MARGIN + if foot { HEAD } else { 0 };
    html! {
        svg class="chart" role="img" aria-label=(name) width=(plan.width) height=(height)
            viewBox={ "0 0 " (plan.width) " " (height) } {
            @for x in &plan.lanes {
                line class="life" x1=(x) x2=(x) y1=(MARGIN + HEAD) y2=(end) {}
            }
            @for (participant, x) in chart.participants().iter().zip(&plan.lanes) {
                (head(participant, *x, MARGIN))
                @if foot { (head(participant, *x, end)) }
            }
            @for row in &rows {
                @if let Some(instant) = &row.instant {
                    text class="time" x=(GUTTER - 14) y=(row.y + LINE) { (instant) }
                }
                (plan.item(row))
            }
        }
    }
}

fn head(participant: &Participant, x: usize, y: usize) -> Markup {
    let width = head_width(participant);
    let class = if participant.role == Role::Client { "head client" } else { "head" };
    html! {
        g class=(class) {
            rect x=(x.saturating_sub(width / 2)) y=(y) width=(width) height=(HEAD) rx="6" {}
            text x=(x) y=(y + 19) { (participant.name) }
        }
    }
}

fn head_width(participant: &Participant) -> usize {
    width_of(&participant.name) + 22
}

/// Where the lanes are.
struct Plan {
    lanes: Vec<usize>,
    width: usize,
}

/// One item, and where it is drawn.
struct Row<'a> {
    item: &'a Item,
    lines: Vec<String>,
    y: usize,
    height: usize,
    /// When it happens, if that is later than the row before.
    instant: Option<String>,
}

impl Plan {
    /// Lanes are as far apart as the texts between them need, and the notes beside them have room too.
    fn of(chart: &Chart) -> Self {
        let heads: Vec<usize> = chart.participants().iter().map(head_width).collect();
        let mut gaps: Vec<usize> =
            heads.windows(2).map(|pair| (pair.iter().sum::<usize>() / 2 + 22).max(LANE)).collect();
        let mut messages: Vec<(usize, usize, usize)> = chart.items().iter().filter_map(span).collect();
        messages.sort_by_key(|(from, to, _)| to - from);
        for (from, to, needed) in messages {
            let Some(between) = gaps.get_mut(from..to) else { continue };
            let missing = needed.saturating_sub(between.iter().sum());
            let share = missing.div_ceil(between.len().max(1));
            for gap in between {
                *gap += share;
            }
        }
        let mut lanes = vec![0];
        lanes.extend(gaps.iter().scan(0, |x, gap| {
            *x += gap;
            Some(*x)
        }));
        lanes.truncate(heads.len());
        let mut left = heads.first().map_or(0, |width| width / 2);
        let mut right = lanes.last().copied().unwrap_or(0) + heads.last().map_or(0, |width| width / 2);
        for item in chart.items() {
            if let Item::Note { lane, text, .. } = item
                && let Some(x) = lanes.get(lane.index())
            {
                let half = note_width(&wrap(text, MEASURE)) / 2;
                left = left.max(half.saturating_sub(*x));
                right = right.max(x + half);
            }
        }
        let offset = GUTTER + left;
        for x in &mut lanes {
            *x += offset;
        }
        Self { lanes, width: (offset + right + MARGIN).max(360) }
    }

    fn rows<'a>(&self, chart: &'a Chart) -> Vec<Row<'a>> {
        let mut y = MARGIN + HEAD + 10;
        let mut before = 0;
        let row = |item: &'a Item| {
            let lines = wrap(&words(item), self.measure(item));
            let height = lines.len() * LINE
                + match item {
                    Item::Message { .. } => 15,
                    Item::Note { .. } | Item::Divider { .. } | Item::Repeated { .. } => 19,
                    Item::Violation { .. } => 31,
                };
            let instant = (item.at() > before).then(|| format!("+{}", elapsed(item.at())));
            before = item.at();
            let row = Row { item, lines, y, height, instant };
            y += height;
            row
        };
        chart.items().iter().map(row).collect()
    }

    fn measure(&self, item: &Item) -> usize {
        match item {
            Item::Message { .. } | Item::Note { .. } => MEASURE,
            Item::Divider { .. } | Item::Violation { .. } | Item::Repeated { .. } => {
                self.width.saturating_sub(GUTTER + 3 * MARGIN) / LETTER
            }
        }
    }

    fn item(&self, row: &Row<'_>) -> Markup {
        match row.item {
            Item::Message { from, to, .. } if from == to => self.note(row, *from),
            Item::Message { from, to, manner, fate, .. } => self.message(row, (*from, *to), *manner, *fate),
            Item::Note { lane, .. } => self.note(row, *lane),
            Item::Divider { .. } => self.across(row, "divider"),
            Item::Repeated { .. } => self.across(row, "repeated"),
            Item::Violation { lane, .. } => self.violation(row, *lane),
        }
    }

    fn message(&self, row: &Row<'_>, (from, to): (Lane, Lane), manner: Manner, fate: Fate) -> Markup {
        let (Some(&begin), Some(&end)) = (self.lanes.get(from.index()), self.lanes.get(to.index())) else {
            return Markup::default();
        };
        let y = row.y + row.lines.len() * LINE + 6;
        let manner = match manner {
            Manner::Call => "message call",
            Manner::Answer => "message answer",
            Manner::Refusal => "message refusal",
        };
        let back = end < begin;
        let head = if back { "l9,-5 v10 z" } else { "l-9,-5 v10 z" };
        // What is lost gets two thirds of the way.
        let lost = (begin + 2 * end) / 3;
        html! {
            g class=(manner) {
                (lines(&row.lines, usize::midpoint(begin, end), row.y + LINE - 2))
                @match fate {
                    Fate::Arrives => {
                        line x1=(begin) x2=(if back { end + 4 } else { end.saturating_sub(4) }) y1=(y) y2=(y) {}
                        path d={ "M" (end) "," (y) " " (head) } {}
                    }
                    Fate::Lost => {
                        line x1=(begin) x2=(lost) y1=(y) y2=(y) {}
                        path class="lost" d={ "M" (lost.saturating_sub(5)) "," (y - 5) " l10,10 m0,-10 l-10,10" } {}
                    }
                }
            }
        }
    }

    fn note(&self, row: &Row<'_>, lane: Lane) -> Markup {
        let Some(&x) = self.lanes.get(lane.index()) else { return Markup::default() };
        let width = note_width(&row.lines);
        html! {
            g class="note" {
                rect x=(x.saturating_sub(width / 2)) y=(row.y + 3) width=(width) height=(row.lines.len() * LINE + 8) rx="4" {}
                (lines(&row.lines, x, row.y + LINE + 3))
            }
        }
    }

    fn across(&self, row: &Row<'_>, class: &str) -> Markup {
        let center = self.center();
        let width = note_width(&row.lines);
        let y = row.y + row.height / 2;
        html! {
            g class=(class) {
                line x1=(GUTTER) x2=(self.width - MARGIN) y1=(y) y2=(y) {}
                rect x=(center.saturating_sub(width / 2)) y=(row.y + 3) width=(width) height=(row.height - 6) rx="8" {}
                (lines(&row.lines, center, row.y + LINE + 5))
            }
        }
    }

    fn violation(&self, row: &Row<'_>, lane: Option<Lane>) -> Markup {
        let top = row.y + 8;
        html! {
            g class="violation" {
                @if let Some(x) = lane.and_then(|lane| self.lanes.get(lane.index())) {
                    path d={ "M" (x.saturating_sub(8)) "," (top) " h16 l-8,-8 z" } {}
                }
                rect x=(GUTTER) y=(top) width=(self.width - GUTTER - MARGIN) height=(row.height - 12) rx="6" {}
                (lines(&row.lines, self.center(), top + LINE + 3))
            }
        }
    }

    fn center(&self) -> usize {
        usize::midpoint(GUTTER, self.width - MARGIN)
    }
}

/// From lane to lane, the lower one first, and the room that the text of a message needs.
fn span(item: &Item) -> Option<(usize, usize, usize)> {
    let Item::Message { from, to, text, .. } = item else { return None };
    let (from, to) = (from.index().min(to.index()), from.index().max(to.index()));
    (from < to).then(|| (from, to, widest(&wrap(text, MEASURE)) + 26))
}

fn words(item: &Item) -> String {
    match item {
        Item::Message { text, .. }
        | Item::Note { text, .. }
        | Item::Divider { text, .. }
        | Item::Violation { text, .. } => text.clone(),
        Item::Repeated { items, times, .. } => repeated(*items, *times),
    }
}

/// "The last 2 lines, 11 times more".
pub(super) fn repeated(items: usize, times: usize) -> String {
    match items {
        1 => format!("the last line, {times} times more"),
        _ => format!("the last {items} lines, {times} times more"),
    }
}

fn lines(lines: &[String], x: usize, y: usize) -> Markup {
    html! {
        @for (index, line) in lines.iter().enumerate() {
            text x=(x) y=(y + index * LINE) { (line) }
        }
    }
}

fn width_of(text: &str) -> usize {
    text.chars().count() * LETTER
}

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| width_of(line)).max().unwrap_or(0)
}

fn note_width(lines: &[String]) -> usize {
    widest(lines) + 18
}

/// Breaks a text into lines of so many letters, at spaces where there are any.
fn wrap(text: &str, measure: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for (index, piece) in pieces(word, measure).into_iter().enumerate() {
            let Some(line) = lines.last_mut() else { break };
            let fits = line.chars().count() + 1 + piece.chars().count() <= measure;
            if line.is_empty() {
                line.push_str(&piece);
            } else if fits && index == 0 {
                line.push(' ');
                line.push_str(&piece);
            } else {
                lines.push(piece);
            }
        }
    }
    lines
}

fn pieces(word: &str, measure: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(measure.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// A span in words: `350 ms`, `2.5 s`, `1 m 30 s`, `2 h`.
pub(super) fn elapsed(span: u64) -> String {
    let (hours, minutes, seconds) = (span / 3_600_000, span / 60_000 % 60, span / 1_000 % 60);
    match (hours, minutes) {
        (0, 0) if seconds == 0 => format!("{span} ms"),
        (0, 0) if span.is_multiple_of(1_000) => format!("{seconds} s"),
        (0, 0) => format!("{seconds}.{} s", span % 1_000 / 100),
        (0, _) if seconds == 0 => format!("{minutes} m"),
        (0, _) => format!("{minutes} m {seconds} s"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} m"),
    }
}
