//! Many connections at once, and an end to all of them.

use std::{
    io::ErrorKind,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use token_refresh_conformance::server::{Gate, ResourcePolicy, Step, timeline};

use crate::client::{Client, PATIENCE, get, servers};

/// Both ends of each connection are in this process: it needs 2,100 file descriptors (`ulimit -n`).
#[test]
fn a_thousand_connections_wait_at_one_gate() {
    const MANY: usize = 1000;
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let gate = Gate::new();
    api.script(vec![Step::new().hold_after(&gate); MANY]);
    let mut clients: Vec<Client> = (0..MANY).map(|_| Client::connect(api.addr())).collect();
    for client in &mut clients {
        client.write(get("/things/17", &token));
    }
    assert!(gate.wait_arrived(MANY, PATIENCE));
    assert_eq!(api.answered(200), 0);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.read().map(|answer| answer.status), Some(200));
    }
    assert_eq!((api.answered(200), api.unused_steps()), (MANY, 0));
    assert_eq!(timeline([api.log()]).lines().count(), MANY);
}

#[test]
fn dropping_a_server_ends_all_its_threads_whatever_they_do() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    let gate = Gate::new();
    // Every thread that has taken one of these steps holds a share of it.
    let share = Arc::new(());
    let step = || {
        let share = Arc::clone(&share);
        Step::new().edit(move |answer| {
            assert!(Arc::strong_count(&share) > 0);
            answer
        })
    };
    let hour = Duration::from_secs(3600);
    api.script([
        step().on("/gate").hold_before(&gate),
        step().on("/after").hold_after(&gate),
        step().on("/delay").delay_before(hour),
        step().on("/slow").slow(1, hour),
        step().on("/unread"),
        step().on("/unused"),
    ]);
    let start = |request: String| {
        let mut client = Client::connect(api.addr());
        client.write(request);
        client
    };
    let mut clients = vec![
        start(get("/gate", &token)),
        start(get("/after", &token)),
        start(get("/delay", &token)),
        start(get("/slow", &token)),
        start(get("/unread", &token).replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\nhalf")),
        start("GET /half-a-head HTTP/1.1\r\nHo".into()),
        start(String::new()),
    ];
    assert!(gate.wait_arrived(2, PATIENCE));
    while api.unused_steps() > 1 {
        thread::yield_now();
    }
    let addr = api.addr();
    let dropped = Instant::now();
    drop(api);

    assert!(dropped.elapsed() < PATIENCE);
    assert_eq!(Arc::strong_count(&share), 1, "a thread or the script still lives");
    for client in &mut clients {
        let answer = client.read();
        assert!(answer.is_none_or(|answer| answer.cut), "nothing was answered completely");
    }
    assert_eq!(
        TcpStream::connect(addr).map_err(|error| error.kind()).err(),
        Some(ErrorKind::ConnectionRefused)
    );
}

#[test]
fn dropping_a_server_waits_for_its_threads() {
    let (_auth, api) = servers(ResourcePolicy::default());
    let (begun, work_begins) = mpsc::channel();
    let done = Arc::new(AtomicBool::new(false));
    api.script([Step::new().edit({
        let done = Arc::clone(&done);
        move |answer| {
            let _ = begun.send(());
            // Work that nothing interrupts, for long enough to be overtaken.
            thread::sleep(Duration::from_millis(100));
            done.store(true, Ordering::SeqCst);
            answer
        }
    })]);
    let mut client = Client::connect(api.addr());
    client.write(get("/", "x"));
    work_begins.recv_timeout(PATIENCE).expect("the request arrives");
    drop(api);
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn a_resource_server_survives_its_authorization_server() {
    let (auth, api) = servers(ResourcePolicy::default());
    let token = auth.issue().access_token;
    drop(auth);
    assert_eq!(crate::client::status(&api, &token), 200);
}
