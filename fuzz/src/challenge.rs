use http_auth::{ChallengeRef, parse_challenges};
use token_refresh_core::wire::challenges;

/// The bounds of our parser, beyond which it ignores what the other one reads (SEC-06).
const MOST: usize = 16;
const MAX_BYTES: usize = 16 * 1024;

/// Reads a `WWW-Authenticate` field. Our parser takes more than the grammar allows; what the strict parser of
/// `http-auth` takes it must read in the same way.
///
/// # Panics
/// If the two differ.
pub fn challenge(data: &[u8]) {
    let ours = challenges([data]);
    for challenge in &ours {
        // Whatever a server sends, these are total.
        let _ = (challenge.error(), challenge.scope(), challenge.realm(), challenge.max_age());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(theirs) = parse_challenges(text) else { return };
    let within = data.len() <= MAX_BYTES
        && theirs.len() <= MOST
        && theirs.iter().all(|challenge| challenge.params.len() <= MOST);
    if !within {
        return;
    }
    assert_eq!(ours.len(), theirs.len(), "{text:?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.scheme(), theirs.scheme, "{text:?}");
        for (name, _) in &theirs.params {
            assert_eq!(ours.parameter(name), parameter(theirs, name).as_deref(), "{name} in {text:?}");
        }
    }
}

/// The first of this name that says something.
fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let same = challenge.params.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.to_unescaped()).find(|value| !value.is_empty())
}
