//! The ureq adapter as a program of the conformance kit:
//! `token-refresh-conformance client -- target/debug/examples/client_ureq`.

use std::{error::Error as StdError, io::Cursor};

use token_refresh_conformance::{
    adapter::Problem,
    client::{
        driver::{self, Account},
        protocol::{Ability, Cause, Outcome, Request, Settings, Tokens},
        serve::{Cancel, Client, serve},
    },
};
use token_refresh_ureq::{
    AuthAgent, Error, OneShot, UreqTransport,
    ureq::{Agent, Body, http},
};

fn main() -> std::io::Result<()> {
    serve::<Program>()
}

struct Program {
    agent: AuthAgent,
    account: Account,
}

impl Client for Program {
    const ABILITIES: &'static [Ability] = &{
        let [a, b, c, d, e, f, g, h, i, j] = driver::ABILITIES;
        [a, b, c, d, e, f, g, h, i, j, Ability::Stream]
    };

    fn new(settings: &Settings) -> Result<Self, Box<dyn StdError>> {
        let session =
            driver::builder(settings)?.blocking(UreqTransport::new(), driver::profile(settings)?)?;
        let agent = Agent::config_builder().http_status_as_error(false).build().new_agent();
        let account = Account::new(session.clone(), settings);
        Ok(Self { agent: AuthAgent::new(agent, session, driver::rules(settings)?), account })
    }

    fn send(&self, request: Request, _: &Cancel) -> Outcome {
        let Request { method, url, headers, body, stream } = request;
        let head = http::Request::builder().method(method.as_str()).uri(url);
        let head = headers.iter().fold(head, |head, (name, value)| head.header(name, value));
        let sent = match (body, stream) {
            (Some(body), _) => head.body(body.as_bytes()).map(|request| self.agent.run(request)),
            (None, Some(stream)) => {
                head.body(OneShot::new(Cursor::new(stream))).map(|request| self.agent.run(request))
            }
            (None, None) => head.body(()).map(|request| self.agent.run(request)),
        };
        match sent.unwrap_or_else(|error| Err(Error::Http(error.into()))) {
            Ok(response) => answer(response),
            Err(error) => {
                let cause = error.cause().map_or(Cause::Http, Cause::from);
                let failure = Outcome::failure(cause, Problem::text_of(&error));
                failure.with_refusal(error.into_response().map(answer))
            }
        }
    }

    fn sign_in(&self, tokens: &Tokens) -> Result<(), Box<dyn StdError>> {
        self.account.sign_in(tokens)
    }

    fn sign_out(&self) -> Result<(), Box<dyn StdError>> {
        self.account.sign_out()
    }

    fn leave(&self) {
        self.account.leave();
    }
}

fn answer(mut response: http::Response<Body>) -> Outcome {
    match response.body_mut().read_to_vec() {
        Ok(body) => Outcome::answer(response.status().as_u16(), &body),
        Err(error) => Outcome::failure(Cause::Http, Problem::text_of(&error)),
    }
}
