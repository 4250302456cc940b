use std::{
    env, fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use token_refresh_postgres::{
    Postgres,
    tokio_postgres::{Config, NoTls},
};

/// A server in a folder of its own, reached over a socket there. Both are gone when the test is over.
pub(crate) struct Server {
    folder: PathBuf,
}

/// The server does not run as the superuser; tests often do.
const NOBODY: u32 = 65534;

impl Server {
    pub(crate) fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("token-refresh-pg-{}-{count}", process::id()));
        fs::create_dir(&folder).unwrap();
        let server = Self { folder };
        if runs_as_superuser() {
            chown(&server.folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        server.run("initdb", &["--auth=trust", "--username=test", "--no-sync", "--encoding=UTF8"]);
        server.go();
        server
    }

    pub(crate) fn connect(&self) -> Postgres {
        Postgres::new(self.config(), NoTls).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).user("test").dbname("postgres");
        config
    }

    pub(crate) fn sql(&self, text: &str) {
        self.query(text);
    }

    /// The first column of the first row.
    pub(crate) fn query(&self, text: &str) -> String {
        succeed(&mut self.psql(text)).trim().to_owned()
    }

    pub(crate) fn psql(&self, text: &str) -> Command {
        let mut command = Command::new(program("psql"));
        command.arg("--host").arg(&self.folder).args(["--username=test", "--dbname=postgres"]);
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        command.args(["--command", text]);
        command
    }

    pub(crate) fn go(&self) {
        // Only the test has to survive, not the machine.
        let options = format!("-k {} -c listen_addresses= -c fsync=off", self.folder.display());
        let log = self.folder.join("log");
        self.run("pg_ctl", &["start", "--wait", "--options", &options, "--log", log.to_str().unwrap()]);
    }

    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--mode=immediate"]);
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        let mut command = Command::new(program(name));
        command.args(arguments).arg("--pgdata").arg(self.folder.join("data")).current_dir(&self.folder);
        if runs_as_superuser() {
            command.uid(NOBODY).gid(NOBODY);
        }
        succeed(&mut command);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = Command::new(program("pg_ctl"));
        command.args(["stop", "--mode=immediate", "--pgdata"]).arg(self.folder.join("data"));
        if runs_as_superuser() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let _ = command.current_dir("/").output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The output of a command that must succeed.
fn succeed(command: &mut Command) -> String {
    let output = command.stdin(process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Where a program of the server is. Distributions keep it out of the search path.
fn program(name: &str) -> PathBuf {
    let search = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = env::split_paths(&search).chain(versions.map(|version| version.path().join("bin")));
    folders.map(|folder| folder.join(name)).find(|path| Path::is_file(path)).unwrap_or_else(|| {
        panic!("there is no program `{name}`: these tests need a Postgres server; run .ci/install-servers")
    })
}

fn runs_as_superuser() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}
