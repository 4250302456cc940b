use core::time::Duration;

use crate::{Timestamp, wire::Reply};

/// How long the server wants to be left alone (RFC 9110 §10.2.3, RETRY-05): seconds, or a date, which counts from the
/// server's own date if it sent one, so that clocks need not agree. `None` if absent or not understood. However long:
/// the machine has a cap.
pub(super) fn read(reply: &Reply<'_>, now: Timestamp) -> Option<Duration> {
    let value = reply.header("retry-after")?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let sent = reply.header("date").and_then(http_date).unwrap_or(now);
    Some(http_date(value)?.since(sent))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7). The two obsolete forms have died out.
fn http_date(text: &str) -> Option<Timestamp> {
    let (_weekday, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let (day, month, year, time) =
        (number(parts.next()?, 2)?, parts.next()?, number(parts.next()?, 4)?, parts.next()?);
    if parts.next() != Some("GMT") || parts.next().is_some() {
        return None;
    }
    let mut clock = time.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // A leap second is the 60th.
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day)?
        .saturating_mul(24)
        .saturating_add(hour)
        .saturating_mul(60)
        .saturating_add(minute)
        .saturating_mul(60)
        .saturating_add(second);
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

fn days_since_1970(year: u64, month: &str, day: u64) -> Option<u64> {
    /// From 0001-01-01 to 1970-01-01.
    const DAYS_TO_1970: u64 = 719_162;
    let leap = u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)));
    // Days of the year that have passed when the month begins, and days in the month.
    let (passed, length) = match month {
        "Jan" => (0, 31),
        "Feb" => (31, 28_u64.saturating_add(leap)),
        "Mar" => (59, 31),
        "Apr" => (90, 30),
        "May" => (120, 31),
        "Jun" => (151, 30),
        "Jul" => (181, 31),
        "Aug" => (212, 31),
        "Sep" => (243, 30),
        "Oct" => (273, 31),
        "Nov" => (304, 30),
        "Dec" => (334, 31),
        _ => return None,
    };
    if year < 1970 || day == 0 || day > length {
        return None;
    }
    let years = year.saturating_sub(1);
    let leap_day = if passed >= 59 { leap } else { 0 };
    let days = years
        .saturating_mul(365)
        .saturating_add(years / 4)
        .saturating_sub(years / 100)
        .saturating_add(years / 400)
        .saturating_add(passed)
        .saturating_add(leap_day)
        .saturating_add(day.saturating_sub(1));
    Some(days.saturating_sub(DAYS_TO_1970))
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates() {
        let table = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Sun, 29 Feb 2100 00:00:00 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
            ("", None),
        ];
        for (text, seconds) in table {
            assert_eq!(http_date(text).map(Timestamp::as_millis), seconds.map(|s: u64| s * 1000), "{text}");
        }
    }
}
