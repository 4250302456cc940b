//! The run: faults, then none, then an end after which nothing is left over.

use std::{
    env,
    error::Error,
    fs, process, thread,
    time::{Duration, Instant},
};

use hyper_util::client::legacy::connect::HttpConnector;
use token_refresh_driver::{OAuthProfile, SessionBuilder};
use token_refresh_hyper::{AuthLayer, HyperTransport, TokioRuntime};
use token_refresh_reqwest::ReqwestTransport;
use token_refresh_ureq::UreqTransport;
use tokio::runtime::{Builder, Runtime};

use crate::{
    callers::{HANG, hyper_caller, hyper_client, reqwest_caller, reqwest_client, ureq_caller},
    lane::Lane,
    options::Options,
    rng::Rng,
    stalls::Stalls,
    summary::{live, print},
};

/// How long there are no faults in the end: longer than a claim that nobody gave back is watched.
const CALM: Duration = Duration::from_secs(6);
/// Who calls in the last part of it has to be served.
const SERVED: Duration = Duration::from_millis(1500);
/// How long nobody has to be served before that.
const RECOVERY: Duration = CALM.saturating_sub(SERVED);
/// How long threads and tasks may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// `true`: nothing happened that must not.
pub(crate) fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let (callers, seconds, seed) = (options.callers, options.time.as_secs(), options.seed);
    println!("{callers} callers, {seconds} s of faults, seed {seed}");
    let stalls = Stalls::watch();
    let threads = threads();
    let folder = env::temp_dir().join(format!("token-refresh-soak-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let mut rng = Rng::new(seed);
    let mut lanes = lanes(&folder, &mut rng, &stalls, &runtime)?;
    for number in 0..callers {
        let (lane, session) = (&lanes[number % 3], number / 3 % 2);
        start(lane, session, &runtime, Rng::new(rng.below(u64::MAX)))?;
    }

    let begin = Instant::now();
    let calm = begin + options.time;
    let end = calm + CALM;
    for lane in &mut lanes {
        lane.judge.demands_service(calm + RECOVERY, end);
    }
    keep(&mut lanes, begin, |_| Instant::now() < end, calm)?;
    lanes.iter().for_each(Lane::stop);
    let limit = end + HANG + PATIENCE;
    keep(&mut lanes, begin, |active| active > 0 && Instant::now() < limit, calm)?;

    let mut left_over = Vec::new();
    let active: usize = lanes.iter().map(Lane::active).sum();
    if active > 0 {
        left_over.push(format!("{active} callers have no answer"));
    }
    let judged: Vec<_> = lanes.into_iter().map(|lane| (lane.name, lane.end())).collect();
    let tasks = || runtime.metrics().num_alive_tasks();
    if !soon(|| tasks() == 0) {
        left_over.push(format!("{} tasks are left over", tasks()));
    }
    runtime.shutdown_timeout(PATIENCE);
    if !soon(|| self::threads() <= threads) {
        left_over.push(format!("there were {threads} threads, and now there are {}", self::threads()));
    }
    fs::remove_dir_all(&folder)?;
    Ok(print(&judged, left_over, &stalls))
}

/// One for each adapter.
fn lanes(
    folder: &std::path::Path,
    rng: &mut Rng,
    stalls: &Stalls,
    runtime: &Runtime,
) -> Result<Vec<Lane>, Box<dyn Error>> {
    let tasks = || TokioRuntime::new(runtime.handle().clone());
    let transport = ReqwestTransport::new()?;
    let ureq =
        |builder: SessionBuilder, profile: OAuthProfile| builder.blocking(UreqTransport::new(), profile);
    let reqwest = |builder: SessionBuilder, profile: OAuthProfile| {
        builder.asynchronous(transport.clone(), profile, tasks())
    };
    let hyper = |builder: SessionBuilder, profile: OAuthProfile| {
        builder.asynchronous(HyperTransport::new(HttpConnector::new()), profile, tasks())
    };
    Ok(vec![
        Lane::new("ureq", folder, rng, stalls, ureq)?,
        Lane::new("reqwest", folder, rng, stalls, reqwest)?,
        Lane::new("hyper", folder, rng, stalls, hyper)?,
    ])
}

/// One caller.
fn start(lane: &Lane, session: usize, runtime: &Runtime, rng: Rng) -> Result<(), Box<dyn Error>> {
    let (desk, rules, of) = (&lane.desk, lane.rules.clone(), lane.sessions[session].clone());
    match lane.name {
        "ureq" => ureq_caller(desk, session, &of, &rules, rng),
        "reqwest" => {
            reqwest_caller(runtime.handle(), desk, session, reqwest_client(of, rules)?, rng);
        }
        _ => {
            let auth = AuthLayer::new(of, rules);
            hyper_caller(runtime.handle(), desk, session, hyper_client(), &auth, rng);
        }
    }
    Ok(())
}

/// Keeps the lanes going, as long as `more` says so of the number of callers that are there.
fn keep(
    lanes: &mut [Lane],
    begin: Instant,
    more: impl Fn(usize) -> bool,
    calm: Instant,
) -> Result<(), Box<dyn Error>> {
    for tick in 0_u64.. {
        if !more(lanes.iter().map(Lane::active).sum()) {
            break;
        }
        for lane in &mut *lanes {
            lane.keep(Instant::now() < calm)?;
        }
        if tick % 50 == 0 {
            live(begin, lanes.iter().map(|lane| &lane.judge.tally));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn soon(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// How many threads this process has; 0 where the system does not say.
fn threads() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status.lines().find_map(|desk| desk.strip_prefix("Threads:")?.trim().parse().ok());
    threads.unwrap_or_default()
}
