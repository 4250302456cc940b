//! A machine that goes wrong in the way its argument names, to see what the kit makes of it:
//!
//! ```text
//! token-refresh-conformance machine -- target/debug/examples/faulty_machine late-refusals
//! ```

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::process::exit;
use std::sync::LazyLock;

use token_refresh_conformance::CoreSubject;
use token_refresh_conformance::profile::Profile;
use token_refresh_conformance::protocol::serve;
use token_refresh_conformance::subject::{Settings, Subject};
use token_refresh_conformance::vocabulary::{Input, Output, Reply, TokenId};

static FAULT: LazyLock<String> = LazyLock::new(|| std::env::args().nth(1).unwrap_or_default());

/// The machine of the core, with something between it and the kit.
struct Faulty {
    core: CoreSubject,
    latest: Option<TokenId>,
}

impl Subject for Faulty {
    fn start(settings: &Settings, seed: u64, now: u64) -> Self {
        Self { core: CoreSubject::start(settings, seed, now), latest: None }
    }

    fn call(&mut self, input: &Input, now: u64) -> Reply {
        let mut input = input.clone();
        let refused = matches!(input, Input::Reject(_));
        match FAULT.as_str() {
            // Whichever token was refused, it takes it for the current one: the classic fault of interceptors.
            "late-refusals" => {
                if let (Input::Reject(id), Some(latest)) = (&mut input, self.latest) {
                    *id = latest;
                }
            }
            "hangs" if refused => loop {
                std::thread::park();
            },
            "crashes" if refused => {
                eprintln!("something is wrong with the subject");
                exit(7);
            }
            "garbage" if refused => println!("refused? {input:?}"),
            "endless-line" if refused => loop {
                // Until nobody listens any more.
                if stdout().write_all(&[b'x'; 4096]).is_err() {
                    exit(1);
                }
            },
            "babbles" if refused => println!("\"started\"\n\"started\""),
            _ => {}
        }
        let reply = self.core.call(&input, now);
        for output in &reply.outputs {
            if let Output::Publish(Some(token)) = output {
                self.latest = Some(token.id);
            }
        }
        reply
    }
}

fn main() -> std::io::Result<()> {
    if FAULT.as_str() == "other-version" {
        // An answer, and so not before the question.
        stdin().lock().read_line(&mut String::new())?;
        println!(
            r#"{{"hello":{{"version":9,"name":"from the future","profile":{{"shared":true,"ambient":true,"policies":["once"]}}}}}}"#
        );
        return Ok(());
    }
    serve::<Faulty>("faulty", &Profile::memory(), stdin().lock(), stdout().lock())
}
