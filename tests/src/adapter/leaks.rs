//! No secret is in anything that a program shows (SEC-04).
//!
//! From the first [`World`](super::world) on, this process hears everything: `tracing` and `log` at trace level, those of
//! the HTTP clients included, messages of panics, what errors and notices show, and the metrics. When a world ends, all
//! of that is searched for the beginning of every token that its server issued, and of the client secret.

use std::{
    fmt,
    io::{self, Write},
    panic,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use base64ct::{Base64, Encoding as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use token_refresh_driver::{Session, Subscription};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use super::{Answer, Client, Problem, Setup, Spec};

/// How much of a secret may be shown: fewer characters than these.
const PREFIX: usize = 8;

/// What cannot be kept quiet from outside: at trace level ureq writes down every byte that it sends and receives. The
/// README of the adapter says so.
const WIRE_DUMPS: &str = " ureq_proto::util: ";

/// Everything that was said in this process.
static HEARD: Heard = Heard(Mutex::new(Vec::new()));

static METRICS: LazyLock<Option<PrometheusHandle>> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().ok());

/// Listens to everything, once in a process.
static EARS: LazyLock<()> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(|| &HEARD);
    // Where somebody else is listening already, the proof at the end fails and says so.
    let _ = tracing_subscriber::util::SubscriberInitExt::try_init(subscriber);
    LazyLock::force(&METRICS);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        hear(panic);
        hook(panic);
    }));
});

/// Says something to those who listen, as an error does that is printed.
pub(super) fn hear(said: impl fmt::Display) {
    // A vector takes everything.
    let _ = writeln!(&HEARD, "{said}");
}

/// From where on a world has to listen.
#[derive(Debug)]
pub(super) struct Listening {
    from: usize,
}

impl Listening {
    pub(super) fn begin() -> Self {
        LazyLock::force(&EARS);
        Self { from: HEARD.said().len() }
    }

    /// Searches everything that was said since for these secrets.
    ///
    /// # Panics
    /// There is one, or nobody has listened.
    pub(super) fn assert_silent_about(&self, secrets: &[String]) {
        if let Some(metrics) = &*METRICS {
            hear(metrics.render());
        }
        let proof = format!("{self:p} proves that somebody listens");
        tracing::trace!("to tracing: {proof}");
        log::trace!("to log: {proof}");
        let heard = HEARD.since(self.from);
        for through in ["tracing", "log"] {
            assert!(heard.contains(&format!("to {through}: {proof}")), "nobody listens to {through}");
        }
        for secret in secrets {
            for needle in needles(secret) {
                if heard.contains(&needle) {
                    let line = heard.lines().find(|line| line.contains(&needle)).unwrap_or_default();
                    panic!("SEC-04: `{needle}` of `{secret}` is shown: {line}");
                }
            }
        }
    }
}

/// What must not be found of a secret: its beginning, and the beginning of its random part, which in a token of the
/// scripted server follows a readable name.
fn needles(secret: &str) -> Vec<String> {
    let random = secret.rsplit_once('-').map_or(secret, |(_, random)| random);
    let mut needles = vec![begin(secret), begin(random)];
    // Basic authentication: any three of its bytes look the same wherever they stand, so three shifts are enough.
    for shift in 0..3 {
        let shifted = format!("{}{secret}", "x".repeat(shift));
        needles.extend(Base64::encode_string(shifted.as_bytes()).get(4..4 + PREFIX).map(str::to_owned));
    }
    needles
}

fn begin(secret: &str) -> String {
    secret.chars().take(PREFIX).collect()
}

/// A client whose session and whose errors are listened to.
pub(super) struct Overheard<C> {
    client: C,
    _notices: Subscription,
}

impl<C: Client> Client for Overheard<C> {
    fn new(setup: &Setup) -> Self {
        let client = C::new(setup);
        let notices = client.session().subscribe(|notice| hear(format_args!("{notice:?}")));
        Self { client, _notices: notices }
    }

    fn session(&self) -> &Session {
        self.client.session()
    }

    fn send(&self, request: &Spec) -> Result<Answer, Problem> {
        let answer = self.client.send(request);
        hear(format_args!("{:?} {:?}", self.session(), self.session().current()));
        if let Err(problem) = &answer {
            hear(&problem.text);
        }
        answer
    }
}

/// What was said, as a writer.
struct Heard(Mutex<Vec<u8>>);

impl Heard {
    fn said(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy, since whoever looks at it may want to say something.
    fn since(&self, from: usize) -> String {
        let said = String::from_utf8_lossy(self.said().get(from..).unwrap_or_default()).into_owned();
        said.lines().filter(|line| !line.contains(WIRE_DUMPS)).flat_map(|line| [line, "\n"]).collect()
    }
}

impl Write for &Heard {
    fn write(&mut self, said: &[u8]) -> io::Result<usize> {
        self.said().extend_from_slice(said);
        Ok(said.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
