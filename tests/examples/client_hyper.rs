//! The hyper adapter as a program of the conformance kit:
//! `token-refresh-conformance client -- target/debug/examples/client_hyper`.

use std::{error::Error as StdError, io, pin::Pin};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    client::legacy::{Client as HyperClient, Error as HyperError, connect::HttpConnector},
    rt::TokioExecutor,
};
use token_refresh_conformance::{
    adapter::Problem,
    client::{
        driver::{self, Account},
        protocol::{Ability, Cause, Outcome, Request, Settings, Tokens},
        serve::{Cancel, Client, serve},
    },
};
use token_refresh_hyper::{
    AuthLayer, Capture, Error, HyperTransport, NoNewerToken, ResponseBody, TokioRuntime,
};
use tokio::runtime::Runtime;
use tower::{ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};
use tower_http::follow_redirect::FollowRedirectLayer;

/// Content up to this length is kept until it is known that it need not be sent again.
const KEPT: usize = 150_000;

type Content = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;
type Answered = Response<ResponseBody<Incoming>>;
type Sent = Pin<Box<dyn Future<Output = Result<Answered, Error<HyperError>>> + Send>>;

fn main() -> io::Result<()> {
    serve::<Program>()
}

struct Program {
    service: BoxCloneSyncService<http::Request<Content>, Answered, Error<HyperError>>,
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
        let transport = HyperTransport::new(HttpConnector::new());
        let session =
            driver::builder(settings)?.asynchronous(transport, driver::profile(settings)?, tasks)?;
        let account = Account::new(session.clone(), settings);
        let auth = AuthLayer::new(session, driver::rules(settings)?);
        let auth = auth.clone_body(Capture::new(KEPT, Content::new));
        let guard = auth.guard();
        let service = ServiceBuilder::new()
            .layer(auth)
            .layer(FollowRedirectLayer::new())
            .layer(guard)
            .service(HyperClient::builder(TokioExecutor::new()).build_http());
        Ok(Self { service: BoxCloneSyncService::new(service), account, runtime })
    }

    fn send(&self, request: Request, cancel: &Cancel) -> Outcome {
        let request = match filled(request) {
            Ok(request) => request,
            Err(error) => return Outcome::failure(Cause::Http, Problem::text_of(&error)),
        };
        // Boxed, because the compiler cannot see that a future is `Send` in which there is a boxed error.
        let sent: Sent = Box::pin(self.service.clone().oneshot(request));
        let task = self.runtime.spawn(async move {
            match sent.await {
                Ok(response) => answer(response).await,
                Err(error) => {
                    let cause = error.cause().map_or(Cause::Http, Cause::from);
                    Outcome::failure(cause, Problem::text_of(&error))
                }
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

fn filled(request: Request) -> http::Result<http::Request<Content>> {
    let head = http::Request::builder().method(request.method.as_str()).uri(&request.url);
    let head = request.headers.iter().fold(head, |head, (name, value)| head.header(name, value));
    let content = match (request.body, request.stream) {
        (None, Some(content)) => {
            let frames = stream::iter([Ok(Frame::data(Bytes::from(content)))]);
            Content::new(StreamBody::new(frames))
        }
        (body, _) => Content::new(Full::from(body.unwrap_or_default()).map_err(|never| match never {})),
    };
    head.body(content)
}

async fn answer(response: Answered) -> Outcome {
    let status = response.status().as_u16();
    let reason = response.extensions().get().map(|NoNewerToken(reason)| *reason);
    let answer = match response.into_body().collect().await {
        Ok(body) => Outcome::answer(status, &body.to_bytes()),
        Err(error) => Outcome::failure(Cause::Http, Problem::text_of(&error)),
    };
    match reason {
        Some(reason) => {
            let failure = Outcome::failure(reason.cause().into(), Problem::text_of(&reason));
            failure.with_refusal(Some(answer))
        }
        None => answer,
    }
}
