//! What a worker tells the parent, a line each.

use std::{
    fmt,
    str::FromStr,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub(crate) struct Report {
    /// Unix time, since all processes are on one machine.
    pub(crate) at: Duration,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// So many requests were answered since the last such line. Comes again and again.
    Served(u64),
    /// A request failed, and why.
    Failed(String),
    /// A grant could not be saved in time, and is used from memory.
    Unsaved,
    /// The claim of a process that fell silent is taken over.
    TakenOver,
    /// The process got no processor for so long, up to now.
    Starved(Duration),
}

/// Calls `starved` for ever, whenever this process got no processor for a while.
pub(crate) fn when_starved(starved: impl Fn(Duration) + Send + 'static) {
    const PAUSE: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_millis(200);
    thread::spawn(move || {
        loop {
            let begin = Instant::now();
            thread::sleep(PAUSE);
            let late = begin.elapsed().saturating_sub(PAUSE);
            if late > LATE {
                starved(late);
            }
        }
    });
}

impl Report {
    pub(crate) fn now(what: What) -> Self {
        Self { at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), what }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at.as_millis())?;
        match &self.what {
            What::Served(count) => write!(f, "served {count}"),
            What::Failed(why) => write!(f, "failed {why}"),
            What::Unsaved => f.write_str("unsaved -"),
            What::TakenOver => f.write_str("taken-over -"),
            What::Starved(span) => write!(f, "starved {}", span.as_millis()),
        }
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let read = || {
            let mut words = line.splitn(3, ' ');
            let at = Duration::from_millis(words.next()?.parse().ok()?);
            let (word, rest) = (words.next()?, words.next()?);
            let what = match word {
                "served" => What::Served(rest.parse().ok()?),
                "failed" => What::Failed(rest.into()),
                "unsaved" => What::Unsaved,
                "taken-over" => What::TakenOver,
                "starved" => What::Starved(Duration::from_millis(rest.parse().ok()?)),
                _ => return None,
            };
            Some(Self { at, what })
        };
        read().ok_or_else(|| format!("not a report: {line:?}"))
    }
}
