use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use token_refresh_redis::{Redis, redis};

/// A server in a folder of its own, reached over a socket there. Both are gone when the test is over.
pub(crate) struct Server {
    folder: PathBuf,
    replica_of: Option<u16>,
    process: Option<Child>,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// A server that follows this one.
    pub(crate) fn replica(&self) -> Self {
        Self::with(Some(self.port))
    }

    fn with(replica_of: Option<u16>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("token-refresh-redis-{}-{count}", process::id()));
        fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, replica_of, process: None, port };
        server.go();
        server
    }

    pub(crate) fn go(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]).args(["--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(&self.folder).arg("--unixsocket").arg(self.socket());
        if let Some(port) = self.replica_of {
            command.args(["--replicaof", &format!("127.0.0.1 {port}")]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("redis-server: {error}; these tests need a Redis server; run .ci/install-servers")
        });
        // It says when it is ready; a replica, when it has caught up.
        let ready =
            if self.replica_of.is_some() { "Finished with success" } else { "Ready to accept connections" };
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains(ready) {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "redis-server ended: {said}");
        }
        thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        self.process = Some(process);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn client(&self) -> redis::Client {
        redis::Client::open(format!("redis+unix://{}", self.socket().display())).unwrap()
    }

    pub(crate) fn redis(&self) -> Redis {
        Redis::new(self.client())
    }

    /// A command, and the answer.
    pub(crate) fn say(&self, words: &[&str]) -> redis::Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.client().get_connection().unwrap()).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
