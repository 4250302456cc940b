//! What the callers did and heard, and what the servers saw, as one chart.

use std::time::{Duration, Instant};

use crate::{
    report::{Chart, Fate, Lane, Manner, Role},
    server::{End, Seen, Verdict},
};

/// What the callers did and heard.
#[derive(Clone, Debug)]
pub(super) struct Story {
    begin: Instant,
    told: Vec<(Duration, Teller)>,
}

#[derive(Clone, Debug)]
pub(super) enum Teller {
    /// A caller wants something.
    Sends(String),
    /// A caller hears what became of it; `true`: it was not served.
    Hears(String, bool),
    /// The kit does something to the program.
    Note(String),
}

impl Story {
    pub(super) fn new(begin: Instant) -> Self {
        Self { begin, told: Vec::new() }
    }

    pub(super) fn tell(&mut self, teller: Teller) {
        self.told.push((self.begin.elapsed(), teller));
    }

    /// What happened up to the flaw.
    pub(super) fn chart(&self, seen: &[Seen], flaw: Option<&str>) -> Chart {
        let mut chart = Chart::default();
        let lanes = Lanes {
            callers: chart.participant(Role::Callers, "callers"),
            client: chart.participant(Role::Client, "client"),
            auth: chart.participant(Role::AuthorizationServer, "authorization server"),
            api: chart.participant(Role::Api, "API"),
        };
        let elsewhere = seen.iter().any(|seen| seen.server == "else");
        let elsewhere = elsewhere.then(|| chart.participant(Role::Api, "another server"));
        let told = self.told.iter().map(|(at, teller)| (*at, Moment::Told(teller)));
        let arrivals = seen.iter().map(|seen| (seen.at, Moment::Arrives(seen)));
        let ends = seen.iter().filter_map(|seen| Some((seen.ended_at?, Moment::Ends(seen))));
        let mut moments: Vec<_> = told.chain(arrivals).chain(ends).collect();
        moments.sort_by_key(|(at, _)| *at);
        for (at, moment) in moments {
            moment.draw(&mut chart, &lanes, elsewhere, millis(at));
        }
        if let Some(flaw) = flaw {
            chart.violation(Some(lanes.client), flaw, millis(self.begin.elapsed()));
        }
        chart
    }
}

struct Lanes {
    callers: Lane,
    client: Lane,
    auth: Lane,
    api: Lane,
}

enum Moment<'a> {
    Told(&'a Teller),
    Arrives(&'a Seen),
    Ends(&'a Seen),
}

impl Moment<'_> {
    fn draw(&self, chart: &mut Chart, lanes: &Lanes, elsewhere: Option<Lane>, at: u64) {
        let server = |seen: &Seen| match (seen.server.as_str(), elsewhere) {
            ("auth", _) => lanes.auth,
            ("else", Some(elsewhere)) => elsewhere,
            _ => lanes.api,
        };
        match self {
            Self::Told(Teller::Sends(text)) => chart.call(lanes.callers, lanes.client, text, at),
            Self::Told(Teller::Hears(text, false)) => chart.answer(lanes.client, lanes.callers, text, at),
            Self::Told(Teller::Hears(text, true)) => chart.refusal(lanes.client, lanes.callers, text, at),
            Self::Told(Teller::Note(text)) => chart.note(lanes.client, text, at),
            Self::Arrives(seen) => chart.call(lanes.client, server(seen), request(seen), at),
            Self::Ends(seen) => {
                let (manner, fate) = match seen.end {
                    End::Answered(status) if status < 400 => (Manner::Answer, Fate::Arrives),
                    End::Answered(_) => (Manner::Refusal, Fate::Arrives),
                    End::Open | End::Cut(_) | End::Dropped | End::ClientGone => (Manner::Answer, Fate::Lost),
                };
                chart.message(server(seen), lanes.client, answer(seen), manner, fate, at);
            }
        }
    }
}

/// A request as it is written into a chart: tokens by their names.
fn request(seen: &Seen) -> String {
    let path: String = seen.target.split('?').next().unwrap_or_default().chars().take(40).collect();
    match seen.carried {
        Some(tag) => format!("{} {path} {tag}", seen.method),
        None if seen.headers.get("authorization").is_some() => {
            format!("{} {path} other credentials", seen.method)
        }
        None => format!("{} {path}", seen.method),
    }
}

fn answer(seen: &Seen) -> String {
    match seen.verdict {
        Verdict::Accepted(_) | Verdict::Plain | Verdict::Unprocessed => seen.end.to_string(),
        verdict => format!("{}: {verdict}", seen.end),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
