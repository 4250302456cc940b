//! Records to store.

use std::time::Duration;

use proptest::{collection::btree_map, option, prelude::*};
use token_refresh_core::{Body, Claimant, Holder, SessionId, TokenType};
use token_refresh_driver::{Grant, Record, Timestamp};

/// A record that can be told from others by its number, and whose members all agree on it.
///
/// # Panics
/// Never.
pub fn numbered(number: u64) -> Record {
    let body = match Grant::new(format!("at-{number}")) {
        Ok(grant) => Body::Grant {
            grant: grant.with_lifetime(Duration::from_millis(number)).with_scope(number.to_string()),
            obtained_at: Timestamp::from_millis(number),
        },
        Err(_) => Body::Vacant,
    };
    Record {
        session: SessionId(number),
        serial: number,
        born: 0,
        contested: false,
        body,
        refused: false,
        presented: 0,
        first_at: Timestamp::from_millis(number),
        holder: Some(Holder { claimant: Claimant(number), term: Duration::from_millis(number) }),
    }
}

/// The mark that a session was signed out.
pub fn tombstone(number: u64) -> Record {
    Record { body: Body::SignedOut, holder: None, ..numbered(number) }
}

/// A record with tokens of this many characters.
pub fn large(number: u64, size: usize) -> Record {
    let mut record = numbered(number);
    let token = |letter: &str| letter.repeat(size);
    if let Ok(grant) = Grant::new(token("a")).and_then(|grant| grant.with_refresh_token(token("r"))) {
        let grant = grant.with_extra("id_token", format!("\"{}\"", token("i")));
        record.body = Body::Grant { grant, obtained_at: Timestamp::from_millis(number) };
    }
    record
}

/// Any record that the core can make: every member takes every value it can have, in whole milliseconds.
pub fn any_record() -> impl Strategy<Value = Record> {
    let counts = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let flags = (any::<bool>(), any::<bool>());
    (counts, flags, any_body(), any::<u64>(), option::of(any_holder())).prop_map(
        |((session, serial, born, presented), (contested, refused), body, first_at, holder)| Record {
            session: SessionId(session),
            serial,
            born,
            contested,
            body,
            refused,
            presented,
            first_at: Timestamp::from_millis(first_at),
            holder,
        },
    )
}

fn any_holder() -> impl Strategy<Value = Holder> {
    (any::<u64>(), any::<u64>()).prop_map(|(claimant, term)| Holder {
        claimant: Claimant(claimant),
        term: Duration::from_millis(term),
    })
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => (any_grant(), any::<u64>()).prop_map(|(grant, obtained_at)| Body::Grant {
            grant,
            obtained_at: Timestamp::from_millis(obtained_at)
        }),
        1 => Just(Body::Vacant),
        1 => Just(Body::SignedOut),
    ]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let tokens = ("[!-~]{1,80}", option::of("[!-~]{1,80}"));
    let token_type = prop_oneof![Just(TokenType::Bearer), Just(TokenType::Dpop)];
    let hints = (option::of(any::<u64>()), option::of(any::<String>()));
    let extra = btree_map(any::<String>(), any_json(), 0..4);
    (tokens, token_type, hints, extra).prop_filter_map(
        "a token is visible ASCII",
        |((access_token, refresh_token), token_type, (lifetime, scope), extra)| {
            let mut grant = Grant::new(access_token).ok()?.with_token_type(token_type);
            if let Some(refresh_token) = refresh_token {
                grant = grant.with_refresh_token(refresh_token).ok()?;
            }
            if let Some(lifetime) = lifetime {
                grant = grant.with_lifetime(Duration::from_millis(lifetime));
            }
            if let Some(scope) = scope {
                grant = grant.with_scope(scope);
            }
            Some(extra.into_iter().fold(grant, |grant, (name, json)| grant.with_extra(name, json)))
        },
    )
}

/// JSON text, in spellings that a parser would not write itself.
fn any_json() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("1.50".to_owned()),
        Just("\"\\u00e9\\/\"".to_owned()),
        Just("{\"a\": [true, null, {\"b\": \"c\"}]}".to_owned()),
    ]
}
