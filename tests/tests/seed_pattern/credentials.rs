//! Whose tokens, and which.

use std::{
    array, fs,
    path::Path,
    process,
    sync::{Arc, Barrier, Mutex},
    thread,
};

use token_refresh_conformance::server::{Gate, Step};
use token_refresh_core::{CommitError, Record, StoreError, Stored, Version};
use token_refresh_driver::{Store, store::FileStore};

use crate::{
    Client,
    naive::Naive,
    ours::Ours,
    world::{SOON, World},
};

/// Of the answer only the access token is kept: the second refresh presents a refresh token that was spent by the first,
/// which a server has to take for theft.
///
/// History: refused, refreshed, refused, refresh with the old token. Breaks I-03 and I-15.
#[test]
fn defect_07_the_new_refresh_token_is_thrown_away() {
    fn two_refreshes<C: Client>(new: fn(&World) -> C) -> Damage {
        let world = World::rotating();
        let client = new(&world);
        client.send(&world.get("/first"));
        world.auth.expire(&world.auth.current(1).unwrap().access_token);
        client.send(&world.get("/second"));
        Damage::of(&world)
    }
    assert_eq!(two_refreshes(Naive::new), Damage { presentations: 2, sessions_lost: 1 });
    assert_eq!(two_refreshes(Ours::new), Damage::NONE);
}

/// Nothing says who asked: a refresh that ends after another user has signed in gives that user the token of the first.
///
/// History: refused, another user signs in, refreshed. Breaks I-10 and I-11.
#[test]
fn defect_09_the_token_of_one_user_serves_another() {
    fn who_is_asking<C: Client>(new: fn(&World) -> C) -> u32 {
        let world = World::expired();
        let client = new(&world);
        let refreshed = Gate::new();
        world.auth.script([Step::new().hold_after(&refreshed)]);
        thread::scope(|scope| {
            scope.spawn(|| client.send(&world.get("/of-user-1")));
            assert!(refreshed.wait_arrived(1, SOON));
            client.sign_in(&world.auth.issue());
            refreshed.open();
        });
        client.settle();
        client.send(&world.get("/of-user-2"));
        world.api.log().last().unwrap().carried.unwrap().family
    }
    assert_eq!(who_is_asking(Naive::new), 1);
    assert_eq!(who_is_asking(Ours::new), 2);
}

/// The flag is a variable of one process: two that share a refresh token both present it, which a server has to take for
/// theft.
///
/// History: 1 refused in one process, 2 in another, both refresh. Breaks I-23.
#[test]
fn defect_15_two_processes_spend_one_refresh_token() {
    fn both_refused(world: &World, processes: [&dyn Client; 2]) -> Damage {
        let verdicts = world.hold_verdicts("/a", 2);
        thread::scope(|scope| {
            for process in processes {
                scope.spawn(|| process.send(&world.get("/a")));
            }
            assert!(verdicts.wait_arrived(2, SOON));
            verdicts.open();
        });
        Damage::of(world)
    }
    let world = World::rotating();
    let damage = both_refused(&world, [&Naive::new(&world), &Naive::new(&world)]);
    assert!(damage.presentations >= 2, "{damage:?}");
    assert_eq!(damage.sessions_lost, 1);

    let world = World::rotating();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-pattern-{}", process::id()));
    let files = array::from_fn(|_| MeetingStore::open(&folder.join("token.json")));
    let [one, other] = files.each_ref().map(|file| Ours::sharing(&world, file.clone()));
    one.sign_in(&world.tokens);
    one.settle();
    assert_eq!(other.session().token().unwrap().secret().expose(), world.tokens.access_token);
    MeetingStore::meet(files);
    assert_eq!(both_refused(&world, [&one, &other]), Damage::NONE);
    fs::remove_dir_all(folder).unwrap();
}

/// The file that two processes share. Once, each reads it before the other goes on, so that neither is first.
#[derive(Clone)]
struct MeetingStore {
    file: FileStore,
    meeting: Arc<Mutex<Option<Arc<Barrier>>>>,
}

impl MeetingStore {
    fn open(path: &Path) -> Self {
        Self { file: FileStore::open(path).unwrap(), meeting: Arc::default() }
    }

    fn meet(files: [Self; 2]) {
        let barrier = Arc::new(Barrier::new(2));
        for file in files {
            *file.meeting.lock().unwrap() = Some(Arc::clone(&barrier));
        }
    }
}

impl Store for MeetingStore {
    fn load(&self) -> Result<Stored, StoreError> {
        let stored = self.file.load();
        let meeting = self.meeting.lock().unwrap().take();
        if let Some(barrier) = meeting {
            barrier.wait();
        }
        stored
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        self.file.commit(expected, record)
    }
}

/// What became of the refresh token that everything began with, and of its session.
#[derive(Debug, PartialEq, Eq)]
struct Damage {
    presentations: usize,
    sessions_lost: usize,
}

impl Damage {
    const NONE: Self = Self { presentations: 1, sessions_lost: 0 };

    fn of(world: &World) -> Self {
        let presentations = world.auth.presentations(&world.tokens.refresh_token);
        Self { presentations, sessions_lost: world.auth.families_revoked() }
    }
}
