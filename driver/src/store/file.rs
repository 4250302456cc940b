use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};
use zeroize::Zeroizing;

use super::{Document, FileProblem, FileStoreError, FormatError, LockFile, replace::Prepared};
use crate::Store;

/// One private file that the processes of a machine share.
///
/// The record is replaced as a whole, by compare-and-set under a lock of the operating system, and is on the disk
/// before a commit is answered; a process that is killed at any instant leaves the old record or the new one. The
/// format of the file is that of [`Document`], so that programs in other languages can share it.
///
/// For a record `token.json` there is a second file in the same folder, `token.json.lock`, which stays (see
/// [`LockFile`]), and during a commit a third one, `token.json.tmp`; one that a killed process left is cleared away by
/// the next commit. If `token.json` is a symbolic link, it is kept, and all of this happens where it leads.
///
/// # What it will not do
///
/// It overwrites nothing that it cannot read, and reads no record that other users can read (SEC-05): both are errors
/// that say what to do. [`Store`] has no room for them, so [`open`](Self::open) and [`check`](Self::check) return them,
/// and [`on_error`](Self::on_error) is told.
///
/// # Limits
///
/// The folder must be on a file system with locks that all the processes see. Locks of network file systems often are
/// not seen by other machines; use a database for a fleet. Deleting the lock file while programs run can let two
/// commits in at once.
#[derive(Clone)]
pub struct FileStore {
    path: PathBuf,
    on_error: Arc<dyn Fn(&FileStoreError) + Send + Sync>,
}

impl FileStore {
    /// How long a call waits for another process's commit: 3 s. A commit takes milliseconds, and on a
    /// disk that is very busy some hundreds of them.
    const LOCK_LIMIT: Duration = Duration::from_secs(3);

    /// A store in this file. Creates the folder, for this user alone, and the lock file if they are not there, and
    /// looks at the record if there is one.
    ///
    /// [`FileProblem::Locked`] passes: another process is in the middle of a commit, or was stopped in it.
    ///
    /// # Errors
    /// [`FileStoreError`]: what is wrong, as [`check`](Self::check) says it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        let path = std::path::absolute(path.as_ref())
            .map_err(|error| FileProblem::io("naming", error).at(path.as_ref()))?;
        let store = Self { path, on_error: Arc::new(|_| {}) };
        store.check()?;
        Ok(store)
    }

    /// Calls `observer` with every error of a later [`load`](Store::load) or [`commit`](Store::commit), of which a
    /// session learns no more than "unavailable". While a session waits that can be several times a second.
    #[must_use]
    pub fn on_error(mut self, observer: impl Fn(&FileStoreError) + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(observer);
        self
    }

    /// Whether the record can be read, and one could be written.
    ///
    /// # Errors
    /// [`FileStoreError`]: what is wrong, and what to do about it.
    pub fn check(&self) -> Result<(), FileStoreError> {
        let files = Files::of(&self.path);
        let _held = files.lock.hold(Self::LOCK_LIMIT)?;
        files.read()?;
        Prepared::write(&files.temporary, b"").map(drop).map_err(|problem| problem.at(&files.record))
    }

    fn stored(&self) -> Result<Stored, FileStoreError> {
        let files = Files::of(&self.path);
        // Without the lock if the record is the one written last: that is nearly always so. The highest version is read
        // first, so a commit in between is noticed.
        let highest = files.lock.peek();
        let document = files.read()?;
        if let Some(document) = document
            && Some(document.version) == highest
        {
            return Ok(Stored { version: document.version, record: Some(document.record) });
        }
        let held = files.lock.hold(Self::LOCK_LIMIT)?;
        let document = files.read()?;
        let version = held.in_force(document.as_ref().map(|document| document.version));
        Ok(Stored { version, record: document.map(|document| document.record) })
    }

    /// `None` is a conflict.
    fn replace(&self, expected: Version, record: &Record) -> Result<Option<Version>, FileStoreError> {
        let files = Files::of(&self.path);
        let mut held = files.lock.hold(Self::LOCK_LIMIT)?;
        let current = files.read()?;
        if held.in_force(current.as_ref().map(|current| current.version)) != expected {
            return Ok(None);
        }
        let version = Version(expected.0.saturating_add(1));
        let failed = |problem: FileProblem| problem.at(&files.record);
        let text = Document::replacing(current.as_ref(), version, record.clone())
            .encode()
            .map_err(|error| failed(FileProblem::Format(error)))?;
        let prepared = Prepared::write(&files.temporary, &text).map_err(failed)?;
        held.give_out(version)?;
        prepared.install(&files.record).map_err(failed)?;
        Ok(Some(version))
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Stored, StoreError> {
        self.stored().map_err(|error| {
            (self.on_error)(&error);
            StoreError
        })
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        match self.replace(expected, record) {
            Ok(version) => version.ok_or(CommitError::Conflict),
            Err(error) => {
                (self.on_error)(&error);
                Err(CommitError::Unavailable)
            }
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The files of one record.
struct Files {
    record: PathBuf,
    temporary: PathBuf,
    lock: LockFile,
}

impl Files {
    /// Found anew for each call, since a link may be led elsewhere while the program runs.
    fn of(path: &Path) -> Self {
        let record = follow_links(path);
        let beside = |ending: &str| {
            let mut name = OsString::from(&record);
            name.push(ending);
            PathBuf::from(name)
        };
        Self { temporary: beside(".tmp"), lock: LockFile::new(beside(".lock")), record }
    }

    /// The record that is there, if there is one.
    fn read(&self) -> Result<Option<Document>, FileStoreError> {
        self.text()
            .and_then(|text| {
                text.map(|text| Document::decode(&text).map_err(FileProblem::Format)).transpose()
            })
            .map_err(|problem| problem.at(&self.record))
    }

    fn text(&self) -> Result<Option<Zeroizing<Vec<u8>>>, FileProblem> {
        // Opening something else than a file could block.
        match fs::symlink_metadata(&self.record) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(FileProblem::NotAFile),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileProblem::Unreadable(error)),
        }
        let file = match File::open(&self.record) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileProblem::Unreadable(error)),
        };
        let metadata = file.metadata().map_err(FileProblem::Unreadable)?;
        check_private(&metadata)?;
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if size > Document::MAX_BYTES {
            return Err(FileProblem::Format(FormatError::TooLarge));
        }
        // As large as it has to be: a buffer that grows leaves copies of the tokens behind.
        let mut text = Zeroizing::new(Vec::with_capacity(size + 1));
        file.take(metadata.len()).read_to_end(&mut text).map_err(FileProblem::Unreadable)?;
        Ok(Some(text))
    }
}

/// Where the record really is: a rename onto a link would replace the link.
fn follow_links(path: &Path) -> PathBuf {
    const MOST: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

#[cfg(unix)]
fn check_private(metadata: &Metadata) -> Result<(), FileProblem> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & !0o700 == 0 { Ok(()) } else { Err(FileProblem::NotPrivate { mode }) }
}

#[cfg(not(unix))]
fn check_private(_: &Metadata) -> Result<(), FileProblem> {
    Ok(())
}
