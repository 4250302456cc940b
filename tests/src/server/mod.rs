//! A scripted authorization server and resource server, on real sockets of 127.0.0.1.
//!
//! A client under test, in whatever language, talks to the two servers; the test says what happens to the next requests
//! and reads afterwards what the servers saw. Nothing is simulated: connections break where the script breaks them,
//! tokens are worth what the authorization server's policy says, and two requests meet where a gate holds them.
//!
//! | to … | use |
//! | --- | --- |
//! | start a session, end its tokens | [`AuthorizationServer::issue`], [`expire`](AuthorizationServer::expire), [`revoke`](AuthorizationServer::revoke) |
//! | choose how refresh tokens rotate and what a replay costs | [`Policy`] |
//! | choose whom the API refuses, and with which challenge | [`ResourcePolicy`] |
//! | delay, hold, break or replace single answers | [`Step`], [`Gate`], [`Cut`] |
//! | know what happened | [`Seen`], [`TokenRequest`], [`timeline`] |
//! | reach nobody | [`ClosedPort`], [`BlackHole`] |
//!
//! ```
//! use std::{io::{Read, Write}, net::TcpStream};
//! use token_refresh_conformance::server::{AuthorizationServer, Policy, ResourcePolicy, ResourceServer, timeline};
//!
//! # fn main() -> std::io::Result<()> {
//! let auth = AuthorizationServer::start(Policy::default())?;
//! let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
//! let session = auth.issue();
//! auth.expire(&session.access_token);
//!
//! let mut client = TcpStream::connect(api.addr())?;
//! write!(client, "GET /things/17 HTTP/1.1\r\nHost: api\r\nConnection: close\r\n")?;
//! write!(client, "Authorization: Bearer {}\r\n\r\n", session.access_token)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//!
//! assert!(answer.starts_with("HTTP/1.1 401"));
//! assert!(answer.contains("error=\"invalid_token\""));
//! assert_eq!(api.answered(401), 1);
//! println!("{}", timeline([auth.log(), api.log()])); // 0.001 s  api  GET /things/17  at-1-0…  → 401  expired
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! TLS and HTTP/2. It is a test instrument: it keeps every request in memory, and it trusts whoever runs the test. It
//! does not trust its clients: heads, contents and connections are bounded, and nothing that arrives makes it panic.

mod authorization;
mod connection;
mod families;
mod gate;
mod host;
mod listener;
mod log;
mod message;
mod nowhere;
mod policy;
mod resource;
mod script;
mod timeline;
mod token_request;

pub use self::{
    authorization::AuthorizationServer,
    families::Issued,
    gate::Gate,
    log::{End, Seen, Tag, TokenKind, Verdict, digest},
    message::{Headers, Response},
    nowhere::{BlackHole, ClosedPort},
    policy::{ClientAuth, OldAccessToken, OnReplay, Policy, Reuse, Rotation, Successor},
    resource::{Challenge, Refuse, ResourcePolicy, ResourceServer},
    script::{Cut, Step},
    timeline::timeline,
    token_request::TokenRequest,
};
