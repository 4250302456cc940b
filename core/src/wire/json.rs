//! The little of JSON that answers and requests need: the members of an object, without looking into them.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    string::String,
};
use core::{fmt, str};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object has fewer members than this, or it is none that we understand.
const MAX_MEMBERS: usize = 1024;

/// The members of a JSON object. A name that stands there twice stands for nothing: one parser would take the first
/// value and the next the second (RFC 8259 §4).
pub(super) struct Object<'a>(BTreeMap<String, Option<&'a RawValue>>);

/// The member stands there twice, or is not what it has to be.
pub(super) struct Unusable;

impl<'a> Object<'a> {
    /// `None` if this is not UTF-8, not JSON, not an object, or too large.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        // A byte order mark must not be sent, and is (RFC 8259 §8.1).
        serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
    }

    /// The member at a dotted path (`data.token`), as JSON text; `None` if it is absent or `null`.
    pub(super) fn find(&self, path: &str) -> Result<Option<&'a str>, Unusable> {
        let (name, inner) = path.split_once('.').map_or((path, None), |(name, inner)| (name, Some(inner)));
        let Some(member) = self.0.get(name) else { return Ok(None) };
        let json = member.ok_or(Unusable)?.get();
        match inner {
            _ if json == "null" => Ok(None),
            None => Ok(Some(json)),
            // The path comes from the configuration, so it bounds the depth.
            Some(inner) => Object::parse(json.as_bytes()).ok_or(Unusable)?.find(inner),
        }
    }

    /// The text at a path; `None` if it is absent, `null` or empty.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>, Unusable> {
        let Some(json) = self.find(path)? else { return Ok(None) };
        let text = unquote(json).ok_or(Unusable)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// All members that stand there once, as JSON text.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().filter_map(|(name, json)| Some((name.as_str(), (*json)?.get())))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, json)) = map.next_entry::<String, &RawValue>()? {
            match members.entry(name) {
                Entry::Vacant(place) => _ = place.insert(Some(json)),
                Entry::Occupied(mut place) => _ = place.insert(None),
            }
            if members.len() > MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(Object(members))
    }
}

/// The value of a JSON string.
pub(super) fn unquote(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Whether this is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The most bytes that [`push_quoted`] may add.
pub(super) fn quoted_room(text: &str) -> usize {
    text.len().saturating_mul("\\u0000".len()).saturating_add(2)
}

/// Appends the text as a JSON string. Written out here because a serialiser would keep copies of what it writes.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\0'..='\x1f' => {
                let digit = |value: u32| char::from_digit(value & 0xf, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.extend([digit(u32::from(char) >> 4), digit(u32::from(char))]);
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_read_back_and_fits_the_room() {
        for text in ["", "plain", "q\"b\\s/", "\0\x01\x1f\n\t", "caf\u{e9} \u{1f511}", "\u{7f}\u{2028}"] {
            let mut json = String::with_capacity(quoted_room(text));
            push_quoted(&mut json, text);
            assert_eq!(unquote(&json).as_deref(), Some(text));
            assert!(json.len() <= quoted_room(text), "{text:?}");
        }
    }
}
