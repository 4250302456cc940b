use std::{
    ffi::OsString,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use lexopt::{Arg, Parser, ValueExt as _};
use token_refresh_driver::AmbiguousPolicy;

use crate::place::{Place, StoreKind};

pub(crate) const HELP: &str = "\
Worker processes share one rotating refresh token through a store and call an
API with it, while they are killed, stopped and restarted at random.

The parent process runs the API and a strict authorization server: access
tokens live for 2 seconds, every exchange rotates the refresh token, and if a
spent one is presented again all tokens of the session are revoked. Exchanges
are slowed down so that there is something to hit.

At the end every refresh token that was presented twice is listed with the
reason. Only one reason counts: the outcome of the earlier presentation cannot
be known to anybody, because its sender was killed, or stopped for too long,
before it could save the answer. When a session is lost in that way the parent
signs in anew. The run fails (exit code 1) if a refresh token was presented
twice, or a session lost, for any other reason; if a worker hangs or dies by
itself; if the record is torn, or goes back; and if a request fails while
nobody disturbs.

Options:
  --store KIND       file, postgres or redis [file]
  --url URL          use this database and not a private server. For postgres
                     also `host=... user=...`; the table is created
  --workers N        1 to 64 [8]
  --time SPAN        20s, 2m, 1500ms [20s]
  --seed N           of the chaos; the timing is never the same twice [random]
  --no-chaos         disturb nobody
  --policy NAME      what a worker does with a refresh token whose last
                     presentation had no answer: once, until-used, never
                     [once]
  --no-last-resort   not even present it when no access token is left. With
                     --policy never no refresh token is ever presented twice
  --reuse SPAN       the server takes a spent refresh token for this long, if
                     its successor was not rotated, and repeats its answer.
                     The workers know it. Times of 6s and more make a kill
                     harmless [none: strict]
  --help             this text

The servers keep every request in memory: about 15 MB for each minute.
";

pub(crate) struct Options {
    pub(crate) role: Role,
    pub(crate) store: StoreKind,
    pub(crate) url: Option<String>,
    pub(crate) workers: usize,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) chaos: bool,
    pub(crate) policy: AmbiguousPolicy,
    pub(crate) last_resort: bool,
    pub(crate) reuse: Option<Duration>,
}

/// What this process is. All but the first two are started by the parent.
pub(crate) enum Role {
    Help,
    Parent,
    Worker(Errand),
    SignIn(Errand),
}

/// Where a worker finds everything.
pub(crate) struct Errand {
    /// The URL of the token endpoint.
    pub(crate) token: String,
    /// The origin of the API.
    pub(crate) api: String,
    pub(crate) place: Place,
}

impl Errand {
    /// What [`Options::read`] understands.
    pub(crate) fn arguments(&self, role: &str) -> Vec<OsString> {
        let named = [("token", &self.token), ("api", &self.api), ("place", &self.place.to_string())]
            .map(|(name, value)| format!("--{name}={value}").into());
        [OsString::from(role)].into_iter().chain(named).collect()
    }
}

impl Options {
    pub(crate) fn read() -> Result<Self, lexopt::Error> {
        let mut options = Self {
            role: Role::Parent,
            store: StoreKind::File,
            url: None,
            workers: 8,
            time: Duration::from_secs(20),
            seed: RandomState::new().build_hasher().finish() & 0xffff_ffff,
            chaos: true,
            policy: AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: true },
            last_resort: true,
            reuse: None,
        };
        let mut policy = String::from("once");
        let (mut role, mut token, mut api, mut place) = (None, None, None, None);
        let mut parser = Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("store") => options.store = parser.value()?.parse()?,
                Arg::Long("url") => options.url = Some(parser.value()?.parse()?),
                Arg::Long("workers") => options.workers = parser.value()?.parse_with(workers)?,
                Arg::Long("time") => options.time = parser.value()?.parse_with(span)?,
                Arg::Long("seed") => options.seed = parser.value()?.parse()?,
                Arg::Long("no-chaos") => options.chaos = false,
                Arg::Long("policy") => policy = parser.value()?.parse()?,
                Arg::Long("no-last-resort") => options.last_resort = false,
                Arg::Long("reuse") => options.reuse = Some(parser.value()?.parse_with(span)?),
                Arg::Long("help") | Arg::Short('h') => {
                    options.role = Role::Help;
                    return Ok(options);
                }
                // The rest is not for people.
                Arg::Long("token") => token = Some(parser.value()?.parse()?),
                Arg::Long("api") => api = Some(parser.value()?.parse()?),
                Arg::Long("place") => place = Some(parser.value()?.parse()?),
                Arg::Value(name) if role.is_none() => role = Some(name.string()?),
                other => return Err(other.unexpected()),
            }
        }
        let window = options.reuse.unwrap_or(Duration::from_secs(30));
        options.policy = named_policy(&policy, window, options.last_resort)?;
        if let Some(role) = role {
            let missing = "the parent starts workers";
            let errand = Errand {
                token: token.ok_or(missing)?,
                api: api.ok_or(missing)?,
                place: place.ok_or(missing)?,
            };
            options.role = match role.as_str() {
                "worker" => Role::Worker(errand),
                "sign-in" => Role::SignIn(errand),
                _ => return Err(Arg::Value(role.into()).unexpected()),
            };
        }
        Ok(options)
    }
}

fn workers(number: &str) -> Result<usize, String> {
    let number = number.parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or("it takes 1 to 64 workers".into())
}

fn span(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let parsed = units.into_iter().find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(factor).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| format!("{text:?} is not a span of time like 20s, 2m or 1500ms"))
}

fn named_policy(name: &str, window: Duration, last_resort: bool) -> Result<AmbiguousPolicy, lexopt::Error> {
    match name {
        "once" => Ok(AmbiguousPolicy::Once { window, last_resort }),
        "until-used" if !last_resort => Err("until-used always has a last resort".into()),
        "until-used" => Ok(AmbiguousPolicy::UntilUsed),
        "never" => Ok(AmbiguousPolicy::Never { last_resort }),
        _ => Err(format!("there is no policy {name:?}: once, until-used, never").into()),
    }
}
