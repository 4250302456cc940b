//! The reqwest adapter as a program of the conformance kit:
//! `token-refresh-conformance client -- target/debug/examples/client_reqwest`.

use std::{error::Error as StdError, io};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use token_refresh_conformance::{
    adapter::Problem,
    client::{
        driver::{self, Account},
        protocol::{Ability, Cause, Outcome, Request, Settings, Tokens},
        serve::{Cancel, Client, serve},
    },
};
use token_refresh_reqwest::{
    AuthClient, Error, ReqwestTransport, TokioRuntime,
    reqwest::{Body, ClientBuilder, Method, RequestBuilder, Response},
};
use tokio::runtime::Runtime;

fn main() -> io::Result<()> {
    serve::<Program>()
}

struct Program {
    client: AuthClient,
    account: Account,
    runtime: Runtime,
}

impl Client for Program {
    const ABILITIES: &'static [Ability] = &{
        let [a, b, c, d, e, f, g, h, i, j] = driver::ABILITIES;
        [a, b, c, d, e, f, g, h, i, j, Ability::Stream, Ability::Cancel]
    };

    fn new(settings: &Settings) -> Result<Self, Box<dyn StdError>> {
        let runtime = Runtime::new()?;
        let tasks = TokioRuntime::new(runtime.handle().clone());
        let transport = ReqwestTransport::new()?;
        let session =
            driver::builder(settings)?.asynchronous(transport, driver::profile(settings)?, tasks)?;
        let account = Account::new(session.clone(), settings);
        let client = AuthClient::new(ClientBuilder::new().no_proxy(), session, driver::rules(settings)?)?;
        Ok(Self { client, account, runtime })
    }

    fn send(&self, request: Request, cancel: &Cancel) -> Outcome {
        let client = self.client.clone();
        let task = self.runtime.spawn(async move {
            let method = Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
            let sent = client.request(method, &request.url).with(|head| filled(head, request)).send();
            match sent.await {
                Ok(response) => answer(response).await,
                Err(error) => failure(error).await,
            }
        });
        let handle = task.abort_handle();
        cancel.by(move || handle.abort());
        let cancelled = |_| Outcome::failure(Cause::Cancelled, "taken back");
        self.runtime.block_on(task).unwrap_or_else(cancelled)
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

fn filled(head: RequestBuilder, request: Request) -> RequestBuilder {
    let head = request.headers.iter().fold(head, |head, (name, value)| head.header(name, value));
    match (request.body, request.stream) {
        (Some(body), _) => head.body(body),
        (None, Some(content)) => {
            let frames = stream::iter([io::Result::Ok(Frame::data(Bytes::from(content)))]);
            head.body(Body::wrap(StreamBody::new(frames)))
        }
        (None, None) => head,
    }
}

async fn answer(response: Response) -> Outcome {
    let status = response.status().as_u16();
    match response.bytes().await {
        Ok(body) => Outcome::answer(status, &body),
        Err(error) => Outcome::failure(Cause::Http, Problem::text_of(&error)),
    }
}

async fn failure(error: Error) -> Outcome {
    let cause = error.cause().map_or(Cause::Http, Cause::from);
    let failure = Outcome::failure(cause, Problem::text_of(&error));
    match error.into_response() {
        Some(refusal) => failure.with_refusal(Some(answer(refusal).await)),
        None => failure,
    }
}
