use serde_json::Value;
use token_refresh_core::{
    ExchangeError, Grant, Secret, Timestamp,
    wire::{ClientAuth, JsonEndpoint, MAX_LIFETIME, OAuthClient, Reply},
};

/// When the answer is read, which matters for a `Retry-After` date.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Reads the answer of a token endpoint: a line with the status, lines with fields, an empty line, the body.
///
/// # Panics
/// If a grant is not what a general JSON reader finds in the answer, or comes of an answer that may hold none.
pub fn token_response(data: &[u8]) {
    let (head, body) = split(data, b"\n\n");
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse().ok());
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let (name, value) = split(line, b":");
            Some((std::str::from_utf8(name).ok()?, value))
        })
        .collect();
    let reply = Reply { status: status.unwrap_or(200), headers: &headers, body };
    let public = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    let secret = Secret::from("secret");
    let known = OAuthClient::new(ClientAuth::Basic { client_id: "app".into(), client_secret: secret });
    for read in [public.read(&reply, NOW), known.read(&reply, NOW), JsonEndpoint::new().read(&reply, NOW)] {
        match read {
            Ok(grant) => check(&grant, &reply),
            Err(error) => assert_ne!(error, ExchangeError::NotSent, "there is an answer"),
        }
    }
}

fn check(grant: &Grant, reply: &Reply<'_>) {
    assert!((200..300).contains(&reply.status), "a grant in an answer of status {}", reply.status);
    assert!(grant.lifetime().is_none_or(|lifetime| lifetime <= MAX_LIFETIME));
    // The general reader does not take numbers beyond those of a machine.
    let Ok(answer) = serde_json::from_slice::<Value>(reply.body) else { return };
    assert_eq!(answer["access_token"].as_str(), Some(grant.access_token().expose()));
    if let Some(refresh) = grant.refresh_token() {
        assert_eq!(answer["refresh_token"].as_str(), Some(refresh.expose()));
    }
    // Some servers send a list of words, which is taken too.
    if let (Some(theirs), ours) = (answer["scope"].as_str(), grant.scope()) {
        assert!(ours.is_none_or(|ours| ours == theirs), "{ours:?} is not {theirs:?}");
    }
}

fn split<'a>(data: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    match data.windows(at.len()).position(|window| window == at) {
        Some(index) => (&data[..index], &data[index + at.len()..]),
        None => (data, &[]),
    }
}
