//! What every library here has to do, and where its tokens come from.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tokio::{runtime::Handle, sync::Semaphore};

/// As long as those of the large providers.
pub(crate) static TOKEN: LazyLock<String> = LazyLock::new(|| "a".repeat(900));

/// A library that puts its token on requests. It begins without one.
pub(crate) trait Peer: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    /// Why it is not measured with many who wait for one answer; empty if it is.
    const NO_HERD: &'static str = "";
    /// What the token is put on, made once for all calls.
    type Request: Send + 'static;

    fn new(source: Arc<Source>) -> impl Future<Output = Self> + Send;
    fn request(&self) -> Self::Request;
    fn authorize(&self, request: &mut Self::Request) -> impl Future<Output = ()> + Send;
}

/// Gives tokens once it is open, in the process or as a token endpoint on this machine.
pub(crate) struct Source {
    gate: Semaphore,
    arrived: AtomicUsize,
}

impl Source {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self { gate: Semaphore::new(0), arrived: AtomicUsize::new(0) })
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(1);
    }

    /// Whether somebody has asked.
    pub(crate) fn is_asked(&self) -> bool {
        self.arrived.load(Ordering::SeqCst) > 0
    }

    pub(crate) async fn token(&self) -> &'static str {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.acquire().await.expect("it is never closed"));
        &TOKEN
    }

    pub(crate) fn answer() -> String {
        format!(r#"{{"access_token":"{}","token_type":"Bearer","expires_in":3600}}"#, *TOKEN)
    }

    /// For libraries that speak HTTP themselves.
    pub(crate) fn endpoint(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (source, runtime) = (Arc::clone(self), Handle::current());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (source, runtime) = (Arc::clone(&source), runtime.clone());
                thread::spawn(move || source.serve(&stream, &runtime));
            }
        });
        address
    }

    fn serve(&self, stream: &TcpStream, runtime: &Handle) {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                if !matches!(reader.read_line(&mut line), Ok(read) if read > 0) {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut content = vec![0; length];
            if reader.read_exact(&mut content).is_err() {
                return;
            }
            runtime.block_on(self.token());
            let body = Self::answer();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
            if write!(&mut &*stream, "{head}: {}\r\n\r\n{body}", body.len()).is_err() {
                return;
            }
        }
    }
}

/// What nobody can do without: the clone of a header value that is ready-made, and a list of wakers that is drained.
pub(crate) struct ReadyMade {
    header: std::sync::OnceLock<HeaderValue>,
    wakers: Mutex<Vec<std::task::Waker>>,
}

impl Peer for Arc<ReadyMade> {
    const NAME: &'static str = "clone of a ready-made header value; a drained list of wakers";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        let this = Self::new(ReadyMade { header: std::sync::OnceLock::new(), wakers: Mutex::default() });
        let target = Self::clone(&this);
        tokio::spawn(async move {
            let header = format!("Bearer {}", source.token().await).try_into().expect("ASCII");
            target.header.set(header).expect("the first");
            let wakers = std::mem::take(&mut *target.wakers.lock().expect("nobody panics"));
            wakers.into_iter().for_each(std::task::Waker::wake);
        });
        this
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        let header = std::future::poll_fn(|context| {
            if let Some(header) = self.header.get() {
                return std::task::Poll::Ready(header.clone());
            }
            let mut wakers = self.wakers.lock().expect("nobody panics");
            if let Some(header) = self.header.get() {
                return std::task::Poll::Ready(header.clone());
            }
            wakers.push(context.waker().clone());
            std::task::Poll::Pending
        });
        request.insert(AUTHORIZATION, header.await);
    }
}
