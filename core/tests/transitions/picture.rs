//! Boxes and arrows, as SVG that is readable on white and on black.

use std::fmt::Write as _;

const WIDTH: i32 = 190;
const HEIGHT: i32 = 54;

/// A picture: boxes at their places, arrows between them, and a line of words below.
pub(crate) struct Picture {
    /// What it shows, for those who hear it.
    pub(crate) title: &'static str,
    pub(crate) height: i32,
    pub(crate) places: &'static [Place],
    pub(crate) legend: &'static str,
}

/// A box.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// What it means, in a few words.
    pub(crate) words: &'static str,
    /// Its middle.
    pub(crate) x: i32,
    pub(crate) y: i32,
    /// Whether it is one of those that the picture is about.
    pub(crate) inner: bool,
}

pub(crate) const fn place(name: &'static str, words: &'static str, [x, y]: [i32; 2], inner: bool) -> Place {
    Place { name, words, x, y, inner }
}

/// An arrow; how it is drawn is the name of its class: `to`, `again`, `fail` or `done`.
pub(crate) struct Arrow<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) class: &'static str,
    pub(crate) label: Option<String>,
}

impl Picture {
    pub(crate) fn svg(&self, arrows: &[Arrow<'_>]) -> String {
        let Self { title, height, legend, .. } = *self;
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 {height}" role="img" aria-label="{title}">
<style>
.tr-page{{fill:#fff}}.tr-box{{fill:#f4f6fa;stroke:#5b6b86}}.tr-run{{fill:#eaf2ff}}.tr-name{{font:600 16px sans-serif;fill:#1c2738}}
.tr-word{{font:12px sans-serif;fill:#5b6b86}}.tr-to{{fill:none;stroke:#2f6fdb;stroke-width:1.6;marker-end:url(#to)}}
.tr-again{{fill:none;stroke:#9aa7bd;stroke-width:1.2;stroke-dasharray:4 3;marker-end:url(#again)}}
.tr-fail{{fill:none;stroke:#c0392b;stroke-width:1.4;marker-end:url(#fail)}}.tr-done{{fill:none;stroke:#1e8e5a;stroke-width:1.6;marker-end:url(#done)}}
.tr-label{{font:11px sans-serif;fill:#1c2738;paint-order:stroke;stroke:#fff;stroke-width:4px}}
@media(prefers-color-scheme:dark){{.tr-page{{fill:#0d1117}}.tr-box{{fill:#161c26;stroke:#7d8ba3}}.tr-run{{fill:#14213a}}.tr-name,.tr-label{{fill:#e6edf3}}.tr-word{{fill:#9aa7bd}}.tr-label{{stroke:#0d1117}}}}
</style>
<defs>
"#,
        );
        for (id, colour) in
            [("to", "#2f6fdb"), ("again", "#9aa7bd"), ("fail", "#c0392b"), ("done", "#1e8e5a")]
        {
            let _ = writeln!(
                svg,
                r#"<marker id="{id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8Z" fill="{colour}"/></marker>"#
            );
        }
        let _ = writeln!(svg, "</defs>\n<rect class=\"tr-page\" width=\"1120\" height=\"{height}\"/>");
        for arrow in arrows {
            self.arrow(&mut svg, arrow);
        }
        for Place { name, words, x, y, inner } in self.places {
            let class = if *inner { "tr-box tr-run" } else { "tr-box" };
            let (left, top) = (x - WIDTH / 2, y - HEIGHT / 2);
            let _ = writeln!(
                svg,
                r#"<rect class="{class}" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="9"/><text class="tr-name" x="{x}" y="{}" text-anchor="middle">{name}</text><text class="tr-word" x="{x}" y="{}" text-anchor="middle">{words}</text>"#,
                y - 3,
                y + 15,
            );
        }
        let _ = writeln!(svg, r#"<text class="tr-word" x="20" y="{}">{legend}</text>"#, height - 15);
        svg.push_str("</svg>\n");
        svg
    }

    fn middle(&self, name: &str) -> (i32, i32) {
        let place = self.places.iter().find(|place| place.name == name);
        place.map(|place| (place.x, place.y)).expect("a state that has a place")
    }

    /// Whether a box stands in the way of a vertical arrow.
    fn is_barred(&self, x: i32, y1: i32, y2: i32) -> bool {
        self.places.iter().any(|place| place.x == x && place.y > y1.min(y2) && place.y < y1.max(y2))
    }

    fn arrow(&self, svg: &mut String, Arrow { from, to, class, label }: &Arrow<'_>) {
        let ((x1, y1), (x2, y2)) = (self.middle(from), self.middle(to));
        let (start, bend, end);
        if x1 == x2 && self.is_barred(x1, y1, y2) {
            // Around it: down on the right, up on the left.
            let side = (y2 - y1).signum();
            let (x, out) =
                (f64::from(x1 + side * WIDTH / 2), f64::from(x1 + side * WIDTH / 2 + (y2 - y1) / 4));
            (start, bend, end) = ((x, f64::from(y1)), (out, f64::from(y1 + y2) / 2.0), (x, f64::from(y2)));
        } else {
            // The two directions of a pair stand side by side, each on its own right.
            let (dx, dy) = (f64::from(x2 - x1), f64::from(y2 - y1));
            let length = dx.hypot(dy);
            let (ox, oy) = (-dy / length, dx / length);
            let (ax, ay) = border(x1, y1, dx, dy);
            let (bx, by) = border(x2, y2, -dx, -dy);
            start = (ax + ox * 9.0, ay + oy * 9.0);
            end = (bx + ox * 9.0, by + oy * 9.0);
            let out = if length > 600.0 { -60.0 } else { 0.0 };
            bend = (f64::midpoint(start.0, end.0), f64::midpoint(start.1, end.1) + out);
        }
        let ((ax, ay), (mx, my), (bx, by)) = (start, bend, end);
        let _ = writeln!(
            svg,
            r#"<path class="tr-{class}" d="M{ax:.0} {ay:.0}Q{mx:.0} {my:.0} {bx:.0} {by:.0}"/>"#
        );
        if let Some(label) = label {
            // Slanting arrows cross in the middle, and words on the two directions of a pair must not meet; near the
            // beginning it is clear whose words these are.
            let t = if y1 == y2 {
                0.5
            } else if x1 == x2 {
                0.4
            } else {
                0.3
            };
            let at = |a: f64, m: f64, b: f64| (1.0 - t) * (1.0 - t) * a + 2.0 * (1.0 - t) * t * m + t * t * b;
            let (x, y) = (at(ax, mx, bx), at(ay, my, by) + 4.0);
            let _ = writeln!(
                svg,
                r#"<text class="tr-label" x="{x:.0}" y="{y:.0}" text-anchor="middle">{label}</text>"#
            );
        }
    }
}

/// Where the line from the middle of a box leaves it.
fn border(x: i32, y: i32, dx: f64, dy: f64) -> (f64, f64) {
    let (x, y) = (f64::from(x), f64::from(y));
    let (w, h) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
    let scale = (w / dx.abs().max(0.001)).min(h / dy.abs().max(0.001));
    (x + dx * scale, y + dy * scale)
}
