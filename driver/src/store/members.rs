//! The members of a JSON object, taken out one by one; what is left over is unknown, and kept.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use token_refresh_core::Secret;

use super::FormatError;

/// Members that are kept as they are: their names, and their values as JSON text.
pub(super) type Raw = BTreeMap<String, Secret>;

pub(super) struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// An object has no more members than this.
    const MOST: usize = 1024;

    pub(super) fn parse(text: &'a [u8]) -> Result<Self, FormatError> {
        serde_json::from_slice(text).map_err(FormatError::damaged)
    }

    /// The value of a member that may be absent or `null`.
    pub(super) fn find<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, FormatError> {
        let Some(json) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_str(json.get()).map_err(|_| FormatError::Member(name))
    }

    /// The value of a member that must be there.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, FormatError> {
        self.find(name)?.ok_or(FormatError::Member(name))
    }

    /// A 64-bit number, written as a string of digits.
    pub(super) fn number(&mut self, name: &'static str) -> Result<u64, FormatError> {
        self.take::<String>(name)?.parse().map_err(|_| FormatError::Member(name))
    }

    /// Milliseconds. Anything that is no such number is `None`: a wrong time must not cost the tokens (TIME-08).
    pub(super) fn millis(&mut self, name: &str) -> Option<u64> {
        self.0.remove(name).and_then(|json| serde_json::from_str(json.get()).ok())
    }

    /// The members of an object that may be absent or `null`.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Self>, FormatError> {
        match self.0.remove(name) {
            Some(json) if json.get() != "null" => {
                serde_json::from_str(json.get()).map(Some).map_err(|_| FormatError::Member(name))
            }
            _ => Ok(None),
        }
    }

    /// Everything that was not taken.
    pub(super) fn rest(self) -> Raw {
        self.0.into_iter().map(|(name, json)| (name, Secret::from(json.get()))).collect()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, json)) = map.next_entry::<String, &RawValue>()? {
            // Of a name that stands there twice, one program would read the first value and the next the second.
            match members.entry(name) {
                Entry::Vacant(place) => _ = place.insert(json),
                Entry::Occupied(_) => return Err(A::Error::custom("a doubled member")),
            }
            if members.len() > Members::MOST {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(Members(members))
    }
}
