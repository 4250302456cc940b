use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::FormatError;

/// What is wrong with a file, and what to do about it. Nothing was overwritten or deleted.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FileStoreError {
    path: PathBuf,
    problem: FileProblem,
}

impl FileStoreError {
    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &FileProblem {
        &self.problem
    }
}

/// What is wrong with a file of a [`FileStore`](super::FileStore).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The file is there and is not a record. That is not the same as no record (PERS-04).
    #[error("{0}; put a good copy in its place, or move it away and sign in again")]
    Format(FormatError),
    /// Others may read or write the file.
    #[error(
        "other users may read or write this file (mode {mode:03o}); \
         run `chmod 600` on it, and sign in again if somebody may have read it"
    )]
    NotPrivate {
        /// The permission bits.
        mode: u32,
    },
    /// A folder, a device, or a link that leads back to itself.
    #[error("this is not a regular file")]
    NotAFile,
    /// The file is there and may not be read.
    #[error("the file cannot be read: {0}; give it to the user that runs this program")]
    Unreadable(io::Error),
    /// The folder does not let files be created or replaced.
    #[error(
        "files cannot be created or replaced here: {0}; every process that uses the record must be able to write to \
         its folder"
    )]
    Folder(io::Error),
    /// The disk or the quota is full.
    #[error("there is no space left for it: {0}; the old record is still there")]
    NoSpace(io::Error),
    /// The lock was not to be had in time.
    #[error(
        "another process has held this lock for more than {limit:?}; \
         if it was stopped in the middle of a commit, let it go on or end it"
    )]
    Locked {
        /// For how long it was waited for.
        limit: Duration,
    },
    /// The place of the lock file is taken.
    #[error("this is not the lock file of a record; move it away")]
    NotALockFile,
    /// The file system knows no locks.
    #[error("files cannot be locked here: {0}; put the record on a file system that has locks")]
    NoLocks(io::Error),
    /// Anything else.
    #[error("{doing} it failed: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system says.
        error: io::Error,
    },
}

impl FileProblem {
    pub(super) fn at(self, path: &Path) -> FileStoreError {
        FileStoreError { path: path.to_path_buf(), problem: self }
    }

    /// Of an attempt to create or to replace a file.
    pub(super) fn folder(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound => Self::Folder(error),
            io::ErrorKind::IsADirectory => Self::NotAFile,
            _ => Self::io("replacing", error),
        }
    }

    pub(super) fn io(doing: &'static str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace(error)
            }
            _ => Self::Io { doing, error },
        }
    }
}
