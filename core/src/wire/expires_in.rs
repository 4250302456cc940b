use core::time::Duration;

use crate::wire::json;

/// The longest lifetime that is believed: ten years. A longer one is cut to it (XRSP-05).
pub const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Reads the value of `expires_in`: a JSON number, or the same in a string. A fraction of a second is cut off. Zero
/// and below mean "expired already". `None` for anything else, which means "unknown" (XRSP-05).
pub(super) fn lifetime(json: &str) -> Option<Duration> {
    if json.starts_with('"') { seconds(json::unquote(json)?.trim()) } else { seconds(json) }
}

fn seconds(text: &str) -> Option<Duration> {
    // Without this, `inf` and `nan` would pass.
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let seconds = text.parse::<f64>().ok()?.clamp(0.0, MAX_LIFETIME.as_secs_f64());
    Duration::try_from_secs_f64(seconds).ok().map(|lifetime| Duration::from_secs(lifetime.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xrsp_05_lifetimes() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let table = [
            ("3600", seconds(3600)),
            ("\"3600\"", seconds(3600)),
            ("\" 3600 \"", seconds(3600)),
            ("3600.0", seconds(3600)),
            ("3599.9", seconds(3599)),
            ("\"59.5\"", seconds(59)),
            ("3.6e3", seconds(3600)),
            ("0", seconds(0)),
            ("-0.0", seconds(0)),
            ("-1", seconds(0)),
            ("\"-3600\"", seconds(0)),
            ("-1e999", seconds(0)),
            ("1e18", Some(MAX_LIFETIME)),
            ("1e999", Some(MAX_LIFETIME)),
            ("99999999999999999999999999999999999999999999", Some(MAX_LIFETIME)),
            ("315360001", Some(MAX_LIFETIME)),
            ("\"soon\"", None),
            ("\"\"", None),
            ("\"inf\"", None),
            ("\"NaN\"", None),
            ("\"1h\"", None),
            ("\"0x10\"", None),
            ("\"1,5\"", None),
            ("\"2026-11-24T00:00:00Z\"", None),
            ("\"--1\"", None),
            ("\"e\"", None),
            ("true", None),
            ("[3600]", None),
            ("{\"s\":1}", None),
            ("\"\\ud800\"", None),
        ];
        for (json, expected) in table {
            assert_eq!(lifetime(json), expected, "{json}");
        }
    }
}
