use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, header};
use token_refresh_core::Secret;
use zeroize::Zeroizing;

/// What is kept, at most (SEC-06). Browsers promise 50 cookies of 4 KiB for a host (RFC 6265 §6.1).
const MAX_COOKIES: usize = 32;
const MAX_COOKIE: usize = 4096;

/// The cookies of one session, as text: `name=value` pairs with a `;` between them. It travels in the grant, so that
/// cookies count exactly when their generation does: those of an orphaned exchange never do (COOK-02).
#[derive(Clone)]
pub(crate) struct Jar(Zeroizing<String>);

impl Jar {
    pub(crate) fn of(kept: Option<&Secret>) -> Self {
        Self(Zeroizing::new(kept.map_or_else(String::new, |kept| kept.expose().to_owned())))
    }

    /// Does what the `Set-Cookie` fields say (RFC 6265 §5.2). Domain and path are not looked at: cookies go to the refresh
    /// endpoint and to the origins that the token may go to, and nowhere else. Says for how long the cookies that were
    /// set are good, except for `apart`.
    pub(crate) fn apply(&mut self, headers: &HeaderMap, apart: &str) -> Option<Duration> {
        let mut lifetime: Option<Duration> = None;
        for cookie in
            headers.get_all(header::SET_COOKIE).iter().filter_map(|field| SetCookie::parse(field.as_bytes()))
        {
            self.put(&cookie);
            if let Some(max_age) = cookie.max_age.filter(|_| cookie.name != apart) {
                lifetime = Some(lifetime.map_or(max_age, |shortest| shortest.min(max_age)));
            }
        }
        lifetime
    }

    /// All cookies, or `None` if there are none.
    pub(crate) fn all(&self) -> Option<Secret> {
        self.without("")
    }

    /// All cookies but this one.
    pub(crate) fn without(&self, apart: &str) -> Option<Secret> {
        let mut text = String::with_capacity(self.0.len());
        for (name, value) in pairs(&self.0).filter(|(name, _)| *name != apart) {
            push(&mut text, name, value);
        }
        Some(Secret::new(text)).filter(Secret::is_token)
    }

    fn put(&mut self, cookie: &SetCookie<'_>) {
        let mut text =
            Zeroizing::new(String::with_capacity(self.0.len() + cookie.name.len() + cookie.value.len() + 2));
        let mut count = 0;
        for (name, value) in pairs(&self.0).filter(|(name, _)| *name != cookie.name) {
            push(&mut text, name, value);
            count += 1;
        }
        if !cookie.is_removal() && count < MAX_COOKIES {
            push(&mut text, cookie.name, cookie.value);
        }
        self.0 = text;
    }
}

/// The value of a cookie among such pairs.
pub(crate) fn cookie<'a>(pairs_text: &'a str, wanted: &str) -> Option<&'a str> {
    pairs(pairs_text).find_map(|(name, value)| (name == wanted).then_some(value))
}

/// The value of a `Cookie` field (RFC 6265 §4.2.1).
pub(crate) fn field(pairs_text: &str) -> Secret {
    let mut text = String::with_capacity(pairs_text.len() + pairs_text.matches(';').count());
    for (index, pair) in pairs_text.split(';').enumerate() {
        text.push_str(if index == 0 { "" } else { "; " });
        text.push_str(pair);
    }
    Secret::new(text)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').filter_map(|pair| pair.trim_ascii_start().split_once('='))
}

fn push(text: &mut String, name: &str, value: &str) {
    let between = if text.is_empty() { "" } else { ";" };
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{between}{name}={value}");
}

/// One `Set-Cookie` field.
struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    max_age: Option<Duration>,
}

impl<'a> SetCookie<'a> {
    /// `None` for what cannot be sent back as it came: a cookie that is too long, or has other than visible characters.
    fn parse(field: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(field).ok()?;
        let mut parts = text.split(';').map(str::trim_ascii);
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() + value.len() > MAX_COOKIE || !visible(name) || !visible(value) {
            return None;
        }
        let max_age = parts
            .filter_map(|part| part.split_once('='))
            .filter(|(attribute, _)| attribute.eq_ignore_ascii_case("max-age"))
            .find_map(|(_, seconds)| seconds.parse::<i64>().ok())
            .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        Some(Self { name, value, max_age })
    }

    /// A server takes a cookie back by an empty value or an age that is over.
    fn is_removal(&self) -> bool {
        matches!(self.value, "" | "\"\"") || self.max_age == Some(Duration::ZERO)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn after(kept: &str, fields: &[&[u8]]) -> (Option<String>, Option<Duration>) {
        let fields = fields.iter().map(|field| (header::SET_COOKIE, HeaderValue::from_bytes(field).unwrap()));
        let mut jar = Jar::of(Some(&Secret::from(kept)));
        let lifetime = jar.apply(&fields.collect(), "refresh");
        (jar.all().map(|all| all.expose().to_owned()), lifetime)
    }

    #[test]
    fn cook_02_a_jar_does_what_set_cookie_says() {
        type Row<'a> = (&'a str, &'a [&'a [u8]], Option<&'a str>);
        let table: [Row<'_>; 8] = [
            ("", &[b"a=1; Path=/; HttpOnly; Secure"], Some("a=1")),
            ("a=1;b=2", &[b"a=3"], Some("b=2;a=3")),
            ("a=1", &[b"b=x=y=="], Some("a=1;b=x=y==")),
            ("a=1;b=2", &[b"a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], Some("b=2")),
            ("a=1;b=2", &[b"a=gone; Max-Age=0"], Some("b=2")),
            ("a=1;b=2", &[b"a=gone; max-age=-1"], Some("b=2")),
            ("a=1", &[b"a=\"\"; Max-Age=0"], None),
            (
                "a=1",
                &[b"no pair", b"=nameless", b"b=two words", b"b=caf\xc3\xa9", b"\xff=1", b""],
                Some("a=1"),
            ),
        ];
        for (kept, fields, expected) in table {
            assert_eq!(after(kept, fields).0.as_deref(), expected, "{kept} {fields:?}");
        }
        let long = format!("a={}", "x".repeat(MAX_COOKIE));
        assert_eq!(after("", &[long.as_bytes()]).0, None);
    }

    #[test]
    fn sec_06_a_jar_does_not_grow_without_end() {
        let fields: Vec<_> = (0..1000).map(|n| format!("c{n}=1")).collect();
        let fields: Vec<_> = fields.iter().map(String::as_bytes).collect();
        assert_eq!(after("", &fields).0.unwrap().split(';').count(), MAX_COOKIES);
    }

    #[test]
    fn a_session_lives_as_long_as_its_shortest_cookie() {
        let age = |fields: &[&[u8]]| after("", fields).1.map(|age| age.as_secs());
        assert_eq!(
            age(&[b"a=1; Max-Age=300", b"b=1; Max-Age=60; Path=/", b"refresh=1; Max-Age=5"]),
            Some(60)
        );
        assert_eq!(age(&[b"a=1", b"b=1; Max-Age=soon"]), None);
    }

    #[test]
    fn a_cookie_field_has_a_blank_between_its_pairs() {
        assert_eq!(field("a=1;b=2;c=3").expose(), "a=1; b=2; c=3");
        assert_eq!(cookie("a=1;b=2", "b"), Some("2"));
        assert_eq!(cookie("a=1;b=2", "c"), None);
    }
}
