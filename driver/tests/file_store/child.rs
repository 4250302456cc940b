//! Tests that need a process of their own run this test binary again, as `child`.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Write},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::{faults, lock, processes, scratch::set_mode};

const ROLE: &str = "TOKEN_REFRESH_ROLE";
const FOLDER: &str = "TOKEN_REFRESH_FOLDER";

/// Not a test: what a child does.
#[test]
#[ignore = "run by other tests"]
fn child() {
    let (Ok(role), Ok(folder)) = (env::var(ROLE), env::var(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    match role.as_str() {
        "unreadable" => faults::unreadable(&folder),
        "read_only_folder" => faults::read_only_folder(&folder),
        "full_disk" => faults::full_disk(&folder),
        "open_umask" => faults::open_umask(&folder),
        "hold" => lock::hold(&folder),
        "commit_for_ever" => processes::commit_for_ever(&folder),
        _ => panic!("no such role: {role}"),
    }
}

/// This binary as a child in that role.
pub(crate) fn command(role: &str, folder: &Path) -> Command {
    prepare(Command::new(env::current_exe().unwrap()), role, folder)
}

/// The same by way of a shell, which first does something to itself that the child inherits.
pub(crate) fn command_after(shell: &str, role: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")]).arg(env::current_exe().unwrap());
    prepare(command, role, folder)
}

/// The same as a user whom permissions concern. The superuser is not concerned, and tests often run as one.
pub(crate) fn command_as_ordinary_user(role: &str, folder: &Path) -> Command {
    const NOBODY: u32 = 65534;
    if fs::metadata(folder).unwrap().uid() != 0 {
        return command(role, folder);
    }
    // The build's folder may be closed to that user.
    let program = folder.join("child");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY);
    prepare(command, role, folder)
}

fn prepare(mut command: Command, role: &str, folder: &Path) -> Command {
    command.args(["--exact", "child::child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(FOLDER, folder);
    command
}

/// Runs it to its end, which must be a good one.
pub(crate) fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "the child did not run: {}", text(&output.stdout));
}

/// A child that is told apart from the words of the test harness by a mark before each line.
pub(crate) struct Talking {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

const MARK: &str = "child says ";

/// What a child says to the test that started it.
pub(crate) fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{word}").and_then(|()| out.flush()).unwrap();
}

impl Talking {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next word; `None` when the child is gone. A word that the child's death cut off is none.
    pub(crate) fn hear(&mut self) -> Option<String> {
        self.lines.find_map(|line| line.ok()?.strip_prefix(MARK).map(str::to_owned))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
