//! Replacing a file as a whole: whoever reads sees the old text or the new one, whatever happens (PERS-03).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::FileProblem;

/// A new text that is complete and durable under a name of its own, and not yet in its place.
pub(super) struct Prepared<'a> {
    temporary: &'a Path,
}

impl<'a> Prepared<'a> {
    /// Writes the text to `temporary`, a file in the folder of the one to be replaced. The caller holds the lock, so
    /// what is found under that name was left by a process that died.
    pub(super) fn write(temporary: &'a Path, text: &[u8]) -> Result<Self, FileProblem> {
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FileProblem::folder(error)),
            _ => {}
        }
        // `create_new` follows no link that somebody might have put there.
        let mut file = private(OpenOptions::new().write(true).create_new(true))
            .open(temporary)
            .map_err(FileProblem::folder)?;
        let prepared = Self { temporary };
        file.write_all(text)
            .and_then(|()| file.sync_all())
            .map_err(|error| FileProblem::io("writing", error))?;
        Ok(prepared)
    }

    /// Puts it in its place, durably.
    pub(super) fn install(self, path: &Path) -> Result<(), FileProblem> {
        fs::rename(self.temporary, path).map_err(FileProblem::folder)?;
        sync_folder(path).map_err(|error| FileProblem::io("syncing the folder of", error))
    }
}

impl Drop for Prepared<'_> {
    /// Of a text that did not get into its place nothing is left. After `install` there is nothing under this name.
    fn drop(&mut self) {
        let _ = fs::remove_file(self.temporary);
    }
}

/// The rename is in the folder, so it is the folder that has to reach the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// For the user alone, from the first moment on (SEC-05).
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The folder of this file, if it is not there.
pub(super) fn create_private_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
