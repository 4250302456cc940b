//! `token-refresh watch`

use std::{
    io::{self, Write as _},
    thread,
    time::{Duration, SystemTime},
};

use clap::{Args, builder::styling::Style};
use humantime::format_rfc3339_millis;
use token_refresh_hyper::driver::{Clock as _, Store as _, SystemClock, store::FileStore};

use crate::{account::Credentials, facts::Facts, problem::Problem};

const TIME: Style = Style::new().dimmed();
/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Tell what happens to the credentials file, as it happens
///
/// One line for how it is now, and one for each change until Ctrl-C: sign-ins and sign-outs, claims on the refresh
/// token, new tokens. No secrets. Changes that follow each other within a fifth of a second make one line.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    credentials: Credentials,
    /// For programs: for each change, the line of `status --json`
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(crate) fn run(self) -> Result<(), Problem> {
        match self.watch(&self.credentials.open()?) {
            // As with `watch | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Ends only with an error of stdout.
    fn watch(&self, store: &FileStore) -> io::Result<()> {
        let clock = SystemClock::new();
        let mut known: Option<Facts> = None;
        let mut trouble = None;
        loop {
            let now = clock.now();
            match store.load().map(Facts::from) {
                Ok(facts) if known.as_ref() == Some(&facts) => trouble = None,
                Ok(facts) => {
                    trouble = None;
                    let mut stdout = anstream::stdout().lock();
                    if self.json {
                        writeln!(stdout, "{}", facts.json(now))?;
                    } else {
                        let news = match &known {
                            Some(known) => facts.since(known, now),
                            None => facts.state(now).sentence().to_owned(),
                        };
                        let time = format_rfc3339_millis(SystemTime::now());
                        writeln!(stdout, "{TIME}{time}{TIME:#} {news}")?;
                    }
                    stdout.flush()?;
                    known = Some(facts);
                }
                Err(_) => {
                    // Once, not five times a second.
                    let text = store.check().err().map(|error| error.to_string());
                    if text.is_some() && text != trouble {
                        anstream::eprintln!("token-refresh: {}", text.as_deref().unwrap_or_default());
                        trouble = text;
                    }
                }
            }
            thread::sleep(PAUSE);
        }
    }
}
