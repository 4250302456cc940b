//! The parent: servers, workers, blows, and the verdict.

use std::{
    collections::BTreeSet,
    error::Error,
    io,
    process::Child,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use token_refresh_conformance::server::{
    AuthorizationServer, End, Policy, ResourcePolicy, ResourceServer, Reuse, Step, Verdict,
};

use crate::{
    chaos::Chaos,
    evidence::Evidence,
    judge::{Judge, sender},
    options::{Errand, Options},
    place::Home,
    record::Watch,
    rng::Rng,
    summary::{Summary, live},
    worker::{LIFETIME, config},
    workers::{Workers, start_sign_in, wait_until},
};

/// `true`: nothing happened that must not.
pub(crate) fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let (store, workers, time) = (options.store, options.workers, options.time.as_secs_f64());
    println!(
        "{workers} workers, store {store}, {time} s, policy {:?}, seed {}",
        options.policy, options.seed
    );
    let home = Home::make(options.store, options.url.as_deref())?;
    let evidence = Evidence::begin();
    let auth = AuthorizationServer::start(policy(options))?;
    let api = ResourceServer::start("api", &auth, ResourcePolicy::default())?;
    let errand = Errand { token: auth.url("/token"), api: api.url(""), place: home.place.clone() };

    let watch = Watch::start(&home.place, Arc::clone(&evidence))?;
    let mut sessions = Sessions::begin(options, &auth, &errand, &evidence)?;
    let mut chaos = Chaos::new(Rng::new(options.seed));
    let mut slowness = Slowness { rng: Rng::new(!options.seed) };
    let mut workers = Workers::new(&errand, Arc::clone(&evidence));
    for _ in 0..options.workers {
        workers.spawn()?;
    }

    let end = Instant::now() + options.time;
    for tick in 0_u64.. {
        if Instant::now() >= end {
            break;
        }
        slowness.top_up(&auth);
        if options.chaos {
            chaos.step(&mut workers, || presenting(&auth))?;
        }
        // These read all of the server's log.
        if tick % 10 == 0 {
            workers.check();
            sessions.renew()?;
            live(&evidence, &chaos, auth.token_requests().len(), sessions.count());
        }
        thread::sleep(Duration::from_millis(20));
    }
    workers.end()?;
    sessions.end()?;
    let record = watch.end();

    let (known, config) = (evidence.known().clone(), config(options));
    let judge = Judge::new(&config, &known, &auth.log(), &api.log());
    let again = judge.presented_again();
    let losses: Vec<_> = sessions.lost().into_iter().map(|family| judge.loss(family, &again)).collect();
    let summary = Summary {
        options,
        evidence: &evidence,
        chaos: &chaos,
        granted: judge.granted(),
        again: &again,
        losses: &losses,
        record: &record,
    };
    Ok(summary.print())
}

fn policy(options: &Options) -> Policy {
    Policy {
        expires_in: Some(LIFETIME.as_secs().into()),
        lifetime: Some(LIFETIME),
        reuse: options.reuse.map_or(Reuse::Refuse, Reuse::Within),
        ..Policy::default()
    }
}

/// The worker that has a refresh token on the wire just now.
fn presenting(auth: &AuthorizationServer) -> Option<u32> {
    let log = auth.log();
    log.iter().rfind(|seen| seen.end == End::Open).and_then(sender)
}

/// Makes exchanges slow, so that there is a time in which they can be hit: up to 0.3 s, a third of their limit.
struct Slowness {
    rng: Rng,
}

impl Slowness {
    fn top_up(&mut self, auth: &AuthorizationServer) {
        const AHEAD: usize = 64;
        for _ in auth.unused_steps()..AHEAD {
            let (before, after) = (self.rng.between(0, 150), self.rng.between(0, 150));
            auth.script([Step::new().on("/token").delay_before(before).delay_after(after)]);
        }
    }
}

/// The sessions, one after another: when one is lost, the parent signs in anew.
struct Sessions<'a> {
    options: &'a Options,
    auth: &'a AuthorizationServer,
    errand: &'a Errand,
    evidence: &'a Evidence,
    /// The family of the current session.
    family: u32,
    signed_in_at: Duration,
    helper: Option<Child>,
    lost: BTreeSet<u32>,
}

impl<'a> Sessions<'a> {
    /// Without a last resort a session can end without being revoked: all fail, and for so long nobody was served. The
    /// term of a claim is half of it.
    const SILENCE: Duration = Duration::from_secs(5);
    const SIGN_IN_LIMIT: Duration = Duration::from_secs(20);

    fn begin(
        options: &'a Options,
        auth: &'a AuthorizationServer,
        errand: &'a Errand,
        evidence: &'a Evidence,
    ) -> Result<Self, Box<dyn Error>> {
        let mut sessions = Self {
            options,
            auth,
            errand,
            evidence,
            family: 0,
            signed_in_at: Duration::ZERO,
            helper: None,
            lost: BTreeSet::new(),
        };
        sessions.sign_in()?;
        sessions.end()?;
        Ok(sessions)
    }

    fn count(&self) -> usize {
        self.lost.len() + 1
    }

    fn sign_in(&mut self) -> io::Result<()> {
        let tokens = self.auth.issue();
        self.family += 1;
        self.signed_in_at = self.evidence.now();
        self.helper = Some(start_sign_in(self.errand, &tokens.access_token, &tokens.refresh_token)?);
        Ok(())
    }

    /// Signs in again if the session is lost. Waits for nothing: whoever is stopped must be woken meanwhile.
    fn renew(&mut self) -> io::Result<()> {
        if let Some(helper) = &mut self.helper {
            match helper.try_wait()? {
                Some(status) if status.success() => self.helper = None,
                Some(status) => {
                    self.evidence.violation(format!("a sign-in failed: {status}"));
                    self.helper = None;
                }
                None => {}
            }
            return Ok(());
        }
        if self.is_lost() {
            self.lost.insert(self.family);
            self.sign_in()?;
        }
        Ok(())
    }

    fn is_lost(&self) -> bool {
        self.revoked().contains(&self.family) || !self.options.last_resort && self.is_silent()
    }

    fn is_silent(&self) -> bool {
        let (now, known) = (self.evidence.now(), self.evidence.known());
        let since = known.served_at.max(self.signed_in_at);
        now.saturating_sub(since) > Self::SILENCE && known.failed_at > since
    }

    fn revoked(&self) -> BTreeSet<u32> {
        let requests = self.auth.token_requests().into_iter();
        requests
            .filter_map(|request| match request.verdict {
                Verdict::Replayed { spent, family_revoked: true } => Some(spent.family),
                _ => None,
            })
            .collect()
    }

    /// Waits for a sign-in under way.
    fn end(&mut self) -> io::Result<()> {
        if let Some(mut helper) = self.helper.take() {
            let deadline = Instant::now() + Self::SIGN_IN_LIMIT;
            match wait_until(&mut helper, deadline)? {
                Some(status) if status.success() => {}
                Some(status) => self.evidence.violation(format!("a sign-in failed: {status}")),
                None => {
                    self.evidence.violation("a sign-in hangs".into());
                    helper.kill()?;
                    helper.wait()?;
                }
            }
        }
        Ok(())
    }

    /// All that were lost, also in the last moment.
    fn lost(&self) -> BTreeSet<u32> {
        self.lost.union(&self.revoked()).copied().collect()
    }
}
