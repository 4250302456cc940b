//! Embeds the driver in a program with an executor of its own: no tokio, no I/O library. The whole executor is in
//! `executor.rs`.
//!
//! A hundred tasks find that their token was refused. There is one exchange, and every task gets the new token.
//!
//! ```text
//! cargo run -p token-refresh-driver --example custom_runtime
//! ```

mod executor;

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use executor::{Executor, Handle};
use http::{Request, Response};
use token_refresh_driver::{
    AsyncTransport, Attempt, Endpoint, Grant, OAuthProfile, Session, Sleep as _, TransportError,
    wire::{ClientAuth, OAuthClient},
};

const TASKS: usize = 100;

/// Stands for a real client: answers after a while, as an authorization server would.
struct Server {
    exchanges: Arc<AtomicUsize>,
    handle: Handle,
}

impl AsyncTransport for Server {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        // A real client connects here; with the connection there, nothing is left to do but to write.
        attempt.begin()?;
        self.handle.sleep(Duration::from_millis(50)).await;
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst) + 2;
        Ok(Response::new(Bytes::from(format!(
            r#"{{"access_token":"at{number}","token_type":"Bearer","expires_in":3600,"refresh_token":"rt{number}"}}"#
        ))))
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let executor = Executor::new();
    let exchanges = Arc::new(AtomicUsize::new(0));
    let server = Server { exchanges: Arc::clone(&exchanges), handle: executor.handle() };
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    let profile = OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token")?);
    let session = Session::builder().asynchronous(server, profile, executor.handle())?;
    session.sign_in(Grant::new("at1")?.with_refresh_token("rt1")?.with_lifetime(Duration::from_secs(3600)));

    let (done, refreshed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    executor.run(async {
        let refused = session.token_async().await?.id();
        for _ in 0..TASKS {
            let (session, done, refreshed) = (session.clone(), Arc::clone(&done), Arc::clone(&refreshed));
            executor.handle().spawn(async move {
                let token = session.reject_async(refused).await;
                let new = token.is_ok_and(|token| token.secret().expose() == "at2");
                refreshed.fetch_add(usize::from(new), Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        while done.load(Ordering::SeqCst) < TASKS {
            executor.handle().sleep(Duration::from_millis(1)).await;
        }
        session.settle_async(Duration::from_secs(1)).await
    })?;

    let counts = (refreshed.load(Ordering::SeqCst), exchanges.load(Ordering::SeqCst));
    println!("{} of {TASKS} tasks have the new token, after {} exchange", counts.0, counts.1);
    Ok(if counts == (TASKS, 1) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
