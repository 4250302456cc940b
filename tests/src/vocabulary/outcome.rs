//! The written form of results: `{"ok": …}` or `{"error": …}`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<T, E> {
    Ok(T),
    Error(E),
}

pub(super) fn serialize<S, T, E>(result: &Result<T, E>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Serialize,
    E: Serialize,
{
    match result {
        Ok(value) => Outcome::Ok(value),
        Err(error) => Outcome::Error(error),
    }
    .serialize(serializer)
}

pub(super) fn deserialize<'de, D, T, E>(deserializer: D) -> Result<Result<T, E>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    E: Deserialize<'de>,
{
    Ok(match Outcome::deserialize(deserializer)? {
        Outcome::Ok(value) => Ok(value),
        Outcome::Error(error) => Err(error),
    })
}

pub(super) mod stored {
    //! What a load yields: `{"ok": {"version": …, "record": …}}` or `{"error": "unavailable"}`.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::vocabulary::Record;

    #[derive(Serialize, Deserialize)]
    struct Stored<R> {
        version: u64,
        record: R,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Error {
        Unavailable,
    }

    #[allow(clippy::ref_option, reason = "that is how serde calls it")]
    pub(in super::super) fn serialize<S: Serializer>(
        result: &Option<(u64, Option<Record>)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = result.as_ref().map(|(version, record)| Stored { version: *version, record });
        super::serialize(&stored.ok_or(Error::Unavailable), serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(u64, Option<Record>)>, D::Error> {
        let stored: Result<Stored<Option<Record>>, Error> = super::deserialize(deserializer)?;
        Ok(stored.ok().map(|stored| (stored.version, stored.record)))
    }
}
