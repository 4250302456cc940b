//! A request that is answered with 16 bytes, over a connection that is kept, with and without the library.
//!
//! Without it the request carries a header value that is ready-made. The server is another process.
//! `cargo run --release --manifest-path tests/peers/Cargo.toml --bin end_to_end`
#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustix::time::{ClockId, clock_gettime};
use token_refresh_driver::{
    AllowedOrigins, Attempt, ExchangeError, Grant, Profile, Rules, Secret, Session, Timestamp, Transport,
    TransportError,
};
use token_refresh_hyper::AuthLayer;
use token_refresh_reqwest::AuthClient;
use token_refresh_ureq::AuthAgent;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer as _, ServiceExt as _};

const ROUNDS: usize = 31;
const REQUESTS: u32 = 1_000;
const CLIENTS: [(&str, Prepare); 3] = [("ureq", ureq), ("reqwest", reqwest), ("hyper", hyper)];

/// Sends so many requests.
type Send = Box<dyn Fn(u32)>;
/// With the library, or without it, to this origin.
type Prepare = fn(&str, bool) -> Send;

fn main() {
    // For reqwest, though nothing is encrypted: another library of this package asks it for TLS.
    rustls::crypto::ring::default_provider().install_default().expect("the first");
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        [client, with, origin, requests] => {
            // For callgrind.
            let client = CLIENTS.iter().find(|(name, _)| *name == client).expect("a client").1;
            client(origin, with == "with")(requests.parse().expect("a number"));
        }
        _ => compare(),
    }
}

fn compare() {
    let program = env::current_exe().expect("this program");
    let mut server = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().expect("a server");
    let mut origin = String::new();
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut origin).expect("its origin");
    let origin = origin.trim();

    println!("| client | | without | with | added | without, again |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, client) in CLIENTS {
        let (bare, with) = (client(origin, false), client(origin, true));
        (bare(100), with(100));
        let mut rounds = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (values, send) in rounds.iter_mut().zip([&bare, &with, &bare]) {
                values.push(cpu(|| send(REQUESTS)) * 1e6 / f64::from(REQUESTS));
            }
        }
        let [a, b, again] = rounds.map(median);
        println!("| {name} | CPU, µs | {a:.2} | {b:.2} | {:+.2} | {again:.2} |", b - a);

        let [a, b, again] = [&bare, &with, &bare].map(|send| allocations(send));
        println!("| | allocations | {a:.2} | {b:.2} | {:+.2} | {again:.2} |", b - a);

        let count = |with| median((0..3).filter_map(|_| instructions(name, with, origin)).collect());
        let [a, b, again] = ["without", "with", "without"].map(count);
        println!("| | instructions | {a:.0} | {b:.0} | {:+.0} | {again:.0} |", b - a);
    }
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}

fn allocations(send: &Send) -> f64 {
    allocation_counter::measure(|| send(REQUESTS)).count_total as f64 / f64::from(REQUESTS)
}

/// Of one request: the difference between two runs of this program.
fn instructions(client: &str, with: &str, origin: &str) -> Option<f64> {
    let run = |requests: u32| {
        let program = env::current_exe().ok()?;
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        let output = valgrind.args([client, with, origin, &requests.to_string()]).output().ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        let (_, count) = text.split_once("Collected : ")?;
        count.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((run(3_000)? - run(1_000)?) / 2_000.0)
}

/// Seconds of this process.
fn cpu(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let begin = now();
    work();
    now() - begin
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ureq(origin: &str, with: bool) -> Send {
    let agent = ureq::Agent::new_with_defaults();
    let uri: Uri = origin.parse().expect("a URI");
    if with {
        let agent = AuthAgent::new(agent, session(), rules(origin));
        Box::new(move |requests| {
            for _ in 0..requests {
                let request = Request::get(uri.clone()).body(()).expect("a request");
                let mut answer = agent.run(request).expect("an answer");
                assert_eq!(answer.body_mut().read_to_vec().expect("content").len(), 16);
            }
        })
    } else {
        let header = header();
        Box::new(move |requests| {
            for _ in 0..requests {
                let request = Request::get(uri.clone()).header(AUTHORIZATION, header.clone());
                let mut answer = agent.run(request.body(()).expect("a request")).expect("an answer");
                assert_eq!(answer.body_mut().read_to_vec().expect("content").len(), 16);
            }
        })
    }
}

fn reqwest(origin: &str, with: bool) -> Send {
    let runtime = runtime();
    let url: reqwest::Url = origin.parse().expect("a URL");
    if with {
        let client = AuthClient::new(reqwest::Client::builder(), session(), rules(origin)).expect("a client");
        Box::new(move |requests| {
            runtime.block_on(async {
                for _ in 0..requests {
                    let answer = client.get(url.clone()).send().await.expect("an answer");
                    assert_eq!(answer.bytes().await.expect("content").len(), 16);
                }
            });
        })
    } else {
        let (client, header) = (reqwest::Client::new(), header());
        Box::new(move |requests| {
            runtime.block_on(async {
                for _ in 0..requests {
                    let request = client.get(url.clone()).header(AUTHORIZATION, header.clone());
                    let answer = request.send().await.expect("an answer");
                    assert_eq!(answer.bytes().await.expect("content").len(), 16);
                }
            });
        })
    }
}

fn hyper(origin: &str, with: bool) -> Send {
    let runtime = runtime();
    let uri: Uri = origin.parse().expect("a URI");
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    if with {
        let client = AuthLayer::new(session(), rules(origin)).layer(client);
        Box::new(move |requests| {
            runtime.block_on(async {
                for _ in 0..requests {
                    let request = Request::get(uri.clone()).body(Empty::new()).expect("a request");
                    let answer = client.clone().oneshot(request).await.expect("an answer");
                    assert_eq!(answer.into_body().collect().await.expect("content").to_bytes().len(), 16);
                }
            });
        })
    } else {
        let header = header();
        Box::new(move |requests| {
            runtime.block_on(async {
                for _ in 0..requests {
                    let request = Request::get(uri.clone()).header(AUTHORIZATION, header.clone());
                    let request = request.body(Empty::new()).expect("a request");
                    let answer = client.clone().oneshot(request).await.expect("an answer");
                    assert_eq!(answer.into_body().collect().await.expect("content").to_bytes().len(), 16);
                }
            });
        })
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Of 900 bytes.
fn token() -> String {
    "a".repeat(900)
}

fn header() -> HeaderValue {
    format!("Bearer {}", token()).try_into().expect("ASCII")
}

fn rules(origin: &str) -> Rules {
    Rules::new(AllowedOrigins::none().loopback_http(origin).expect("an origin"))
}

fn session() -> Session {
    let session = Session::builder().blocking(Nowhere, Nowhere).expect("a session");
    session.sign_in(Grant::new(token()).expect("ASCII").with_lifetime(Duration::from_secs(3_600)));
    session
}

struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: Request<Bytes>, _: &Attempt) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::NotSent)
    }
}

impl Profile for Nowhere {
    fn request(&self, _: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        Err(ExchangeError::NotSent)
    }

    fn read(&self, _: &Response<Bytes>, _: Option<&Secret>, _: Timestamp) -> Result<Grant, ExchangeError> {
        Err(ExchangeError::NotSent)
    }
}

fn serve() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    for stream in listener.incoming().map_while(Result::ok) {
        thread::spawn(move || answer(&stream));
    }
}

fn answer(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n0123456789abcdef";
                if (&mut &*stream).write_all(answer).is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
    }
}
