use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use token_refresh_core::Version;

use super::{
    FileProblem, FileStoreError,
    replace::{create_private_folder, private},
};

/// A file that the operating system locks for one process at a time, and that keeps the highest version given out.
///
/// It makes a place that knows no compare-and-set into one that does, for the processes of one machine. The system
/// releases the lock when its holder dies, so there is no stale lock, and nobody takes one over by a time stamp
/// (MP-05). It is held for one commit, never for an exchange. Two [`LockFile`]s of one process exclude each other too.
///
/// The file holds nothing secret. It must stay when the record is deleted: it is what makes versions rise for ever.
/// If it is lost too, versions go on from the clock, which is ahead of every version ever given out.
#[derive(Clone, Debug)]
pub struct LockFile {
    path: PathBuf,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    file: File,
    highest: Version,
}

impl LockFile {
    /// What the file begins with; the highest version follows, in 20 digits.
    const TAG: &str = "token-refresh/1 highest ";
    const DIGITS: usize = 20;

    /// Touches nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The highest version given out, read without the lock: a commit that is under way may have given it out already
    /// and not have written its record yet. `None` if that cannot be told so simply; take the lock to find out.
    pub fn peek(&self) -> Option<Version> {
        read(&mut File::open(&self.path).ok()?).ok().flatten()
    }

    /// Takes the lock, and waits for it for at most `limit` (MP-04). Creates the file, and its folder for this user
    /// alone, if they are not there.
    ///
    /// # Errors
    /// [`FileProblem::Locked`] if another process kept it for so long: one that was stopped in the middle of a commit,
    /// most likely. [`FileProblem::Folder`], [`FileProblem::NotALockFile`] and others if there is no such file to be had.
    pub fn hold(&self, limit: Duration) -> Result<Held, FileStoreError> {
        self.try_hold(limit).map_err(|problem| problem.at(&self.path))
    }

    fn try_hold(&self, limit: Duration) -> Result<Held, FileProblem> {
        create_private_folder(&self.path).map_err(FileProblem::folder)?;
        // Neither truncated nor replaced, ever: a second file under this name would be a second lock.
        let mut file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(&self.path)
            .map_err(FileProblem::folder)?;
        lock(&file, limit)?;
        let highest = if let Some(highest) = read(&mut file)? {
            highest
        } else {
            let base = Version(micros_now());
            write(&mut file, base)?;
            base
        };
        Ok(Held { path: self.path.clone(), file, highest })
    }
}

impl Held {
    /// The version in force, given that of the record that is there.
    ///
    /// A record that is not the one written last was deleted, or put back from a backup, or its writer died. Either way
    /// what is there now was never seen under the highest version, so it goes by the next one.
    pub fn in_force(&self, stored: Option<Version>) -> Version {
        if stored == Some(self.highest) {
            return self.highest;
        }
        let highest = stored.map_or(self.highest, |stored| stored.max(self.highest));
        Version(highest.0.saturating_add(1))
    }

    /// Notes, durably, that this version is given out. To be called before anybody can see it.
    ///
    /// # Errors
    /// [`FileStoreError`], and the version may or may not have been noted.
    pub fn give_out(&mut self, version: Version) -> Result<(), FileStoreError> {
        write(&mut self.file, version).map_err(|problem| problem.at(&self.path))?;
        self.highest = version;
        Ok(())
    }
}

/// There is no system call that waits for a lock for a limited time, so this asks again and again: often, so that a
/// process that commits again and again does not always get in first.
fn lock(file: &File, limit: Duration) -> Result<(), FileProblem> {
    const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(1));
    let start = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(FileProblem::NoLocks(error)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= limit => {
                return Err(FileProblem::Locked { limit });
            }
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// `None` if the file is empty: its maker died before it wrote.
fn read(file: &mut File) -> Result<Option<Version>, FileProblem> {
    let mut text = String::new();
    let most = LockFile::TAG.len() + LockFile::DIGITS + "\n".len();
    let result = file.take(most as u64 + 1).read_to_string(&mut text);
    result.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => FileProblem::NotALockFile,
        _ => FileProblem::io("reading", error),
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix(LockFile::TAG).and_then(|text| text.strip_suffix('\n'));
    let version =
        digits.filter(|digits| digits.len() == LockFile::DIGITS).and_then(|digits| digits.parse().ok());
    version.map(|version| Some(Version(version))).ok_or(FileProblem::NotALockFile)
}

/// In place, always the same length: on a full disk there is room for it, and readers see the old or the new digits.
fn write(file: &mut File, highest: Version) -> Result<(), FileProblem> {
    let text = format!("{}{:0digits$}\n", LockFile::TAG, highest.0, digits = LockFile::DIGITS);
    let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
    written.and_then(|()| file.sync_data()).map_err(|error| FileProblem::io("writing", error))
}

fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
