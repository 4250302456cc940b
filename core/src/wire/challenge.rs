use alloc::{string::String, vec::Vec};
use core::time::Duration;

// What is looked at, at most (SEC-06). Real answers have one or two challenges with a handful of parameters.
const MAX_BYTES: usize = 16 * 1024;
const MAX_CHALLENGES: usize = 16;
const MAX_PARAMETERS: usize = 16;

/// One challenge of a `WWW-Authenticate` field (RFC 9110 §11.3). Names compare without regard to case; of parameters
/// with the same name the first counts. All text comes from the server: escape it before you show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The scheme, as the server wrote it.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether this is a challenge of the scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// What is wrong (RFC 6750 §3.1).
    pub fn error(&self) -> Option<&str> {
        self.parameter("error")
    }

    /// The scope that is needed (RFC 6750 §3).
    pub fn scope(&self) -> Option<&str> {
        self.parameter("scope")
    }

    /// The realm (RFC 9110 §11.5).
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// The ways to authenticate of which one is needed (RFC 9470 §3).
    pub fn acr_values(&self) -> Option<&str> {
        self.parameter("acr_values")
    }

    /// How old the user's authentication may be (RFC 9470 §3); `None` also if it is not a number of seconds.
    pub fn max_age(&self) -> Option<Duration> {
        self.parameter("max_age")?.parse().ok().map(Duration::from_secs)
    }
}

/// Reads the values of all `WWW-Authenticate` fields of an answer (CHAL-01).
///
/// Lenient where servers are sloppy: spaces, stray or missing commas, values that should be in quotation marks. Where a
/// field cannot be understood its rest is ignored; what stood before it counts. So does what goes beyond the
/// bounds: 16 KiB in all, 16 challenges, 16 parameters each. Takes time in proportion to the length.
pub fn challenges<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut room = MAX_BYTES;
    for field in fields {
        // A field that is too long is left out whole: cutting it could turn one word into another.
        let Some(rest) = room.checked_sub(field.len()) else { break };
        room = rest;
        Field { rest: field }.read(&mut found);
    }
    found
}

/// What is left of a field.
#[derive(Clone, Copy)]
struct Field<'a> {
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    /// Reads the list. `None` is the point from which it cannot be understood.
    ///
    /// The grammar needs one word of look-ahead: after a comma, `word =` goes on with the parameters of the current
    /// challenge, and any other word begins a new one.
    fn read(mut self, found: &mut Vec<Challenge>) -> Option<()> {
        let mut current: Option<&mut Challenge> = None;
        loop {
            self.take_while(|byte| byte == b',' || is_blank(byte));
            if self.rest.is_empty() {
                return Some(());
            }
            let word = Some(self.take_while(is_token)).filter(|word| !word.is_empty())?;
            self.take_while(is_blank);
            if self.skip(b'=') {
                let value = self.value()?;
                let parameters = &mut current.as_mut()?.parameters;
                if parameters.len() < MAX_PARAMETERS && !value.is_empty() {
                    parameters.push((text(word), value));
                }
            } else if found.len() < MAX_CHALLENGES {
                found.push(Challenge { scheme: text(word), parameters: Vec::new() });
                current = found.last_mut();
                self.skip_token68();
            } else {
                return None;
            }
        }
    }

    /// The value of a parameter. Without quotation marks it goes to the next blank or comma, because servers forget
    /// the marks around addresses. `None` if the closing mark is missing.
    fn value(&mut self) -> Option<String> {
        self.take_while(is_blank);
        if !self.skip(b'"') {
            return Some(text(self.take_while(|byte| !is_blank(byte) && byte != b',' && byte != b'"')));
        }
        let mut value = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(text(&value)),
                b'\\' => value.push(self.next()?),
                byte => value.push(byte),
            }
        }
    }

    /// Skips what a scheme like Negotiate has instead of parameters: one word up to a comma or the end.
    fn skip_token68(&mut self) {
        let mut ahead = *self;
        ahead.take_while(|byte| is_token(byte) || byte == b'/');
        ahead.take_while(|byte| byte == b'=');
        ahead.take_while(is_blank);
        if matches!(ahead.rest, [] | [b',', ..]) {
            *self = ahead;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !accept(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
