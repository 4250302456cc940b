use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use lexopt::{Arg, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
Callers on threads (ureq) and in tasks (reqwest, hyper) use an API on 127.0.0.1
whose access tokens die every 200 ms, while connections break before and after
requests are processed, answers are slow, late, cut or 429, 500 and 503, tokens
are revoked, the store fails, and callers give up.

Each adapter has an authorization server, an API, and two sessions that share a
refresh token through a file. Refresh tokens rotate; a spent one that comes again
after its time ends the session. A session may present one twice, in time, if the
answer was lost, and never a third time: it is lost then, with that cause, and is
signed in anew.

In the end there are 6 s without faults. The run fails (exit code 1) if a caller
hangs, or is not served although nothing disturbs; if a refresh token is presented
again after its answer was known, more than twice, or too late; if an access token
is replaced that nobody refused, or sent by a call that begins after its refusal was
known; if a session is lost without cause; and if threads or tasks are left over.

A machine that is so busy that the whole program stands still for 0.3 s excuses what
depends on time; how often it did is said.

Options:
  --seconds N    how long there are faults [60]
  --callers N    3 to 1000, shared out among the adapters [200]
  --seed N       of the faults; the timing is never the same twice [random]
  --help         this text
";

pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) callers: usize,
    pub(crate) seed: u64,
}

impl Options {
    /// `None`: help is wanted.
    pub(crate) fn read() -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self {
            time: Duration::from_secs(60),
            callers: 200,
            seed: RandomState::new().build_hasher().finish() & 0xffff_ffff,
        };
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("seconds") => options.time = Duration::from_secs(parser.value()?.parse()?),
                Arg::Long("callers") => options.callers = parser.value()?.parse_with(callers)?,
                Arg::Long("seed") => options.seed = parser.value()?.parse()?,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

fn callers(number: &str) -> Result<usize, String> {
    let number = number.parse().ok().filter(|number| (3..=1000).contains(number));
    number.ok_or_else(|| "it takes 3 to 1000 callers".into())
}
