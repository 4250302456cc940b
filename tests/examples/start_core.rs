//! The program of the README of `token-refresh-core`.

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime},
};

use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer};
use token_refresh_core::{
    Acquire, Action, Config, Effect, Event, ExchangeError, Grant, Machine, Secret, Timestamp,
    wire::{ClientAuth, OAuthClient, Reply},
};

fn main() -> Result<(), Box<dyn Error>> {
    // Two servers on this machine, and a sign-in whose access token is refused by now.
    let auth = AuthorizationServer::start(Policy::default())?;
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let signed_in = auth.issue();
    auth.expire(&signed_in.access_token);

    // Yours: the addresses of your servers, and a `send` with TLS.
    let token_endpoint = auth.addr();
    let api_address = api.addr();

    let seed = 0x5eed; // yours: a random number
    let mut machine = Machine::new(Config::default(), seed, clock())?;
    machine
        .sign_in(Grant::new(signed_in.access_token)?.with_refresh_token(signed_in.refresh_token)?, clock());

    let mut token = machine.current().ok_or("nobody is signed in")?.clone();
    let mut status = get_me(api_address, &token.access_token)?;
    if status == 401 {
        let mut answer = match machine.reject(token.id, clock()) {
            Acquire::Ready(newer) => Some(Ok(newer)),
            Acquire::Failed(failure) => Some(Err(failure)),
            Acquire::Wait(_) => None,
        };
        // The loop. There is one caller, so every answer is for it; with more, `waiter` says for whom.
        while let Some(action) = machine.poll_action() {
            match action {
                Action::Resolve { outcome, .. } => answer = Some(outcome),
                Action::Run(Effect::Exchange { ticket, refresh, .. }) => {
                    let sent_at = clock();
                    let result = exchange(token_endpoint, refresh.as_ref());
                    machine.handle_event(Event::Exchanged { ticket, sent_at, result }, clock())?;
                }
                Action::Run(Effect::Load { .. } | Effect::Commit { .. }) => {
                    return Err("there is no store".into());
                }
                Action::Publish(_) | Action::Notify(_) | Action::Run(Effect::Revoke { .. }) => {}
            }
        }
        token = answer.ok_or("not answered")??;
        status = get_me(api_address, &token.access_token)?;
    }
    println!("{status}");
    assert_eq!(status, 200);
    assert_eq!(auth.token_requests().len(), 1, "one refresh");
    Ok(())
}

/// One request to the token endpoint, never repeated: the machine decides about that.
fn exchange(endpoint: SocketAddr, refresh: Option<&Secret>) -> Result<Grant, ExchangeError> {
    let client = OAuthClient::new(ClientAuth::None { client_id: "my-app".into() });
    let request = client.refresh(refresh.ok_or(ExchangeError::Misconfigured)?);
    let body = request.body().expose();
    let headers: String =
        request.headers().map(|(name, value)| [name, ": ", value.expose(), "\r\n"].concat()).collect();
    let text = format!(
        "POST /token HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, body) = send(endpoint, &text)?;
    client.read(&Reply { status, headers: &[], body: body.as_bytes() }, clock())
}

fn get_me(api: SocketAddr, token: &Secret) -> Result<u16, ExchangeError> {
    let authorization = format!("Authorization: Bearer {}", token.expose());
    Ok(send(
        api,
        &format!("GET /me HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n{authorization}\r\n\r\n"),
    )?
    .0)
}

/// Status and content. Whether anything was sent is what matters when it fails.
fn send(to: SocketAddr, request: &str) -> Result<(u16, String), ExchangeError> {
    let lost = ExchangeError::Ambiguous { retry_after: None };
    let limit = Duration::from_secs(10);
    let mut server = TcpStream::connect_timeout(&to, limit).map_err(|_| ExchangeError::NotSent)?;
    server.set_read_timeout(Some(limit)).map_err(|_| ExchangeError::NotSent)?;
    server.write_all(request.as_bytes()).map_err(|_| lost)?;
    let mut answer = String::new();
    server.take(1 << 20).read_to_string(&mut answer).map_err(|_| lost)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(lost)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(lost)?;
    Ok((status, body.to_owned()))
}

fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
