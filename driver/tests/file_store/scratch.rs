use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

/// A folder of one test, gone when the test is over.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let folder = env::temp_dir().join(format!("token-refresh-{}-{test}", process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where the record of a test is, in a folder that is not there yet.
    pub(crate) fn record(&self) -> PathBuf {
        self.join("store/token.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.join("store/token.json.lock")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.join("store/token.json.tmp")
    }

    /// The names in the store's folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.join("store")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}
