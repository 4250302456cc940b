//! The store that processes share: where it is, and how it is opened.

use std::{
    env,
    error::Error,
    fmt, fs,
    path::PathBuf,
    process,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use token_refresh_driver::{
    Store,
    store::{FileProblem, FileStore, FileStoreError},
};
use token_refresh_postgres::{
    Postgres, PostgresError,
    tokio_postgres::{self, NoTls, config::Host},
};
use token_refresh_redis::{
    Redis, RedisStoreError,
    redis::{Client, ConnectionAddr},
};

/// The servers that the stores' own tests start for themselves.
#[allow(dead_code, clippy::unwrap_used, reason = "the tests need more of it, and must not go on without it")]
#[path = "../../../store-postgres/tests/postgres/server.rs"]
mod postgres;
#[allow(dead_code, clippy::unwrap_used, reason = "the tests need more of it, and must not go on without it")]
#[path = "../../../store-redis/tests/redis/server.rs"]
mod redis;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    File,
    Postgres,
    Redis,
}

/// Where the credential lies. As text, the kind of the store, the name in a database, and the address.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    kind: StoreKind,
    name: String,
    address: String,
}

/// The place, and what has to live as long as it is used.
pub(crate) struct Home {
    pub(crate) place: Place,
    _keeper: Keeper,
}

#[expect(dead_code, reason = "held until the run is over")]
enum Keeper {
    Folder(Folder),
    Postgres(postgres::Server),
    Redis(redis::Server),
    Others,
}

impl Home {
    /// A new one, unless it is a database that is there already.
    pub(crate) fn make(kind: StoreKind, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let (address, keeper) = match (kind, url) {
            (StoreKind::File, Some(_)) => return Err("a file has no URL".into()),
            (_, Some(url)) => (url.to_owned(), Keeper::Others),
            (StoreKind::File, None) => {
                let folder = Folder::new();
                (folder.0.join("token.json").display().to_string(), Keeper::Folder(folder))
            }
            (StoreKind::Postgres, None) => {
                let server = postgres::Server::start();
                let Some(Host::Unix(folder)) = server.config().get_hosts().first().cloned() else {
                    return Err("the private server has no socket".into());
                };
                let address = format!("host={} user=test dbname=postgres", folder.display());
                (address, Keeper::Postgres(server))
            }
            (StoreKind::Redis, None) => {
                let server = redis::Server::start();
                let ConnectionAddr::Unix(socket) = server.client().get_connection_info().addr().clone()
                else {
                    return Err("the private server has no socket".into());
                };
                (format!("redis+unix://{}", socket.display()), Keeper::Redis(server))
            }
        };
        // An address that is given may be that of a database in use.
        let place = Place { kind, name: "token-refresh-fleet".into(), address };
        if kind == StoreKind::Postgres {
            place.postgres()?.create_table()?;
        }
        Ok(Self { place, _keeper: keeper })
    }
}

impl Place {
    /// Opens the store. Of what goes wrong later, only that is of interest that must not happen to a record.
    pub(crate) fn open(
        &self,
        unreadable: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Arc<dyn Store>, Box<dyn Error>> {
        Ok(match self.kind {
            StoreKind::File => Arc::new(open_file(&self.address)?.on_error(move |error| {
                if let FileProblem::Format(_) = error.problem() {
                    unreadable(error.to_string());
                }
            })),
            StoreKind::Postgres => Arc::new(self.postgres()?.credential(&self.name).on_error(move |error| {
                if let PostgresError::Format(_) = error {
                    unreadable(error.to_string());
                }
            })),
            StoreKind::Redis => {
                let redis = Redis::new(Client::open(self.address.as_str())?);
                Arc::new(redis.credential(&self.name).on_error(move |error| {
                    if let RedisStoreError::Format(_) = error {
                        unreadable(error.to_string());
                    }
                }))
            }
        })
    }

    /// Another credential in the same database.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// The file of the record, if it is in one.
    pub(crate) fn file(&self) -> Option<String> {
        (self.kind == StoreKind::File).then(|| self.address.clone())
    }

    fn postgres(&self) -> Result<Postgres, Box<dyn Error>> {
        Ok(Postgres::new(self.address.parse::<tokio_postgres::Config>()?, NoTls)?)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.address)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or("a place is KIND:NAME:ADDRESS");
        Ok(Self { kind: next()?.parse()?, name: next()?.into(), address: next()?.into() })
    }
}

impl FromStr for StoreKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "file" => Ok(Self::File),
            "postgres" => Ok(Self::Postgres),
            "redis" => Ok(Self::Redis),
            _ => Err(format!("there is no store {name:?}: file, postgres, redis")),
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        })
    }
}

/// A worker that was stopped in the middle of a commit holds the lock, so this may take as long as it is stopped.
fn open_file(path: &str) -> Result<FileStore, FileStoreError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match FileStore::open(path) {
            Err(error)
                if matches!(error.problem(), FileProblem::Locked { .. }) && Instant::now() < deadline => {}
            opened => return opened,
        }
    }
}

/// Gone when the run is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("token-refresh-fleet-{}-{count}", process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
