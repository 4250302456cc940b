//! The conformance kit's servers, a folder, and the real program.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use token_refresh_conformance::server::{
    AuthorizationServer, Issued, Policy, ResourcePolicy, ResourceServer,
};

/// Longer than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) auth: AuthorizationServer,
    pub(crate) api: ResourceServer,
    folder: PathBuf,
}

/// What the program said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that goes on. Killed when the test is over.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
    pub(crate) heard: Vec<String>,
}

impl World {
    /// A world of its own, by this name.
    pub(crate) fn new(name: &str) -> Self {
        let auth = AuthorizationServer::start(Policy::default()).unwrap();
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { auth, api, folder }
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.folder.join("token.json")
    }

    /// The program with these arguments, told by the environment where the account is.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_token-refresh"));
        command
            .args(arguments)
            .env("TOKEN_REFRESH_CREDENTIALS", self.credentials())
            .env("TOKEN_REFRESH_TOKEN_ENDPOINT", self.auth.url("/token"))
            .env("TOKEN_REFRESH_CLIENT_ID", "my-app")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        finish(&mut self.program(arguments), "")
    }

    /// Somebody signs in, and hands the program what the authorization server answered.
    pub(crate) fn sign_in(&self) -> Issued {
        let issued = self.auth.issue();
        let answer = format!(
            r#"{{"access_token":"{}","token_type":"Bearer","refresh_token":"{}","expires_in":3600}}"#,
            issued.access_token, issued.refresh_token
        );
        let said = finish(&mut self.program(&["get", "--sign-in", "-"]), &answer);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.stdout.trim(), issued.access_token);
        issued
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn finish(command: &mut Command, input: &str) -> Said {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that reads nothing may have ended by then.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, heard: Vec::new() }
    }

    /// Waits until it has said a line with this in it.
    pub(crate) fn hear(&mut self, wanted: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(SOON);
            let line = line.unwrap_or_else(|_| panic!("not heard: {wanted}, but {:?}", self.heard));
            self.heard.push(line.clone());
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// All that it says until it ends.
    pub(crate) fn hear_out(&mut self) {
        while let Ok(line) = self.lines.recv_timeout(SOON) {
            self.heard.push(line);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
