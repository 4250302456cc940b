//! The pattern, as faithful as blocking code can be: a promise becomes a channel, and what awaits it a thread.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    time::Duration,
};

use serde_json::{Value, json};
use token_refresh_conformance::{
    adapter::{Content, Spec},
    server::Issued,
};
use token_refresh_ureq::ureq::{
    Agent, Body, SendBody,
    http::{Request, Response},
};

use crate::{
    Answer, Client,
    world::{World, http_client},
};

/// In the original a promise that nobody resolves is pending for ever. Here that long, so that tests end.
const FOR_EVER: Duration = Duration::from_secs(1);

pub(crate) struct Naive {
    http: Agent,
    refresh_endpoint: String,
    clears_flag_after_failures: bool,
    state: Mutex<State>,
}

type Subscriber = dyn Fn(&str) + Send + Sync;

struct State {
    access_token: String,
    refresh_token: Option<String>,
    is_already_fetching: bool,
    subscribers: Vec<Arc<Subscriber>>,
}

impl Client for Naive {
    fn send(&self, request: &Spec) -> Answer {
        match self.intercepted(request) {
            Ok(response) => Answer::Status(response.status().as_u16()),
            Err(rejection) => rejection,
        }
    }

    fn sign_in(&self, tokens: &Issued) {
        let mut state = self.state();
        state.access_token.clone_from(&tokens.access_token);
        state.refresh_token = Some(tokens.refresh_token.clone());
    }
}

impl Naive {
    pub(crate) fn new(world: &World) -> Self {
        let tokens = world.tokens.clone();
        Self {
            http: http_client(),
            refresh_endpoint: world.auth.url("/refresh"),
            clears_flag_after_failures: false,
            state: Mutex::new(State {
                access_token: tokens.access_token,
                refresh_token: Some(tokens.refresh_token),
                is_already_fetching: false,
                subscribers: Vec::new(),
            }),
        }
    }

    /// With the repair that most copies of the pattern get sooner or later: the flag is cleared in a `finally`.
    pub(crate) fn repaired(world: &World) -> Self {
        Self { clears_flag_after_failures: true, ..Self::new(world) }
    }

    pub(crate) fn subscribe(&self, subscriber: impl Fn(&str) + Send + Sync + 'static) {
        self.state().subscribers.push(Arc::new(subscriber));
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.state().subscribers.len()
    }

    fn intercepted(&self, request: &Spec) -> Result<Response<Body>, Answer> {
        let mut stream: &[u8] = if let Content::Stream(bytes) = &request.content { bytes } else { &[] };
        let token = self.state().access_token.clone();
        self.attempt(request, &mut stream, &token)
    }

    fn attempt(&self, request: &Spec, stream: &mut &[u8], token: &str) -> Result<Response<Body>, Answer> {
        let mut attempt = Request::builder().method(request.method).uri(&request.url).body(()).unwrap();
        for (name, value) in &request.headers {
            attempt.headers_mut().insert(*name, value.parse().unwrap());
        }
        attempt.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let response = match &request.content {
            Content::None => self.http.run(attempt),
            Content::Bytes(bytes) => self.http.run(attempt.map(|()| &**bytes)),
            // Read to its end here, a stream has nothing to give the next time.
            Content::Stream(_) => self.http.run(attempt.map(|()| SendBody::from_reader(&mut *stream))),
        };
        let response = response.unwrap();
        let refused = response.status() == 401;
        if refused { self.refresh_and_reattempt(request, stream, response) } else { Ok(response) }
    }

    fn refresh_and_reattempt(
        &self,
        request: &Spec,
        stream: &mut &[u8],
        refusal: Response<Body>,
    ) -> Result<Response<Body>, Answer> {
        let Some(refresh_token) = self.state().refresh_token.clone() else { return Ok(refusal) };
        let (resolve, promise) = mpsc::channel();
        self.subscribe(move |token| resolve.send(token.to_owned()).unwrap_or_default());

        if !mem::replace(&mut self.state().is_already_fetching, true) {
            let fetched = self.fetch_access_token(&refresh_token);
            if self.clears_flag_after_failures {
                self.state().is_already_fetching = false;
            }
            let Some(token) = fetched? else { return Ok(refusal) };
            self.state().access_token.clone_from(&token);
            self.state().is_already_fetching = false;
            // A loop over an array goes to the end that it had at the beginning.
            let subscribers = self.state().subscribers.clone();
            for subscriber in subscribers {
                subscriber(&token);
            }
            self.state().subscribers = Vec::new();
        }
        let token = promise.recv_timeout(FOR_EVER).map_err(|_| Answer::Hung)?;
        self.attempt(request, stream, &token)
    }

    /// `None`: the answer had no data.
    fn fetch_access_token(&self, refresh_token: &str) -> Result<Option<String>, Answer> {
        let body = json!({ "refresh_token": refresh_token }).to_string();
        let post = Spec::post(&self.refresh_endpoint, body).header("content-type", "application/json");
        let mut response = self.intercepted(&post)?;
        if !response.status().is_success() {
            return Err(Answer::NoToken(None));
        }
        let data: Value =
            serde_json::from_slice(&response.body_mut().read_to_vec().unwrap()).unwrap_or_default();
        Ok(data["access_token"].as_str().map(str::to_owned))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
