//! The published token: every order of the steps of its readers and its writer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use loom::{
    sync::atomic::{AtomicU64 as Shared, Ordering},
    thread,
};
use token_refresh_core::{Epoch, Generation, Secret, Snapshot, Timestamp, TokenId, TokenType};

use super::published::Published;

fn snapshot(generation: u64) -> Snapshot {
    Snapshot {
        id: TokenId { epoch: Epoch(1), generation: Generation(generation) },
        access_token: Secret::from(format!("at{generation}")),
        token_type: TokenType::Bearer,
        scope: None,
        end: None,
        soft_end: None,
        hard_end: None,
    }
}

/// Which token a caller gets; zero for none.
fn fresh(published: &Published) -> u64 {
    published.fresh(Timestamp::ZERO).map_or(0, |token| token.id().generation.0)
}

/// What a caller gets in turn is never older than what it got, or than what it knows was published. The copy that it
/// has of the first token makes it read without a lock, one of the second is made on the way.
fn reads_in_order(next: Option<u64>) {
    loom::model(move || {
        let (published, returned) = (Arc::new(Published::default()), Arc::new(Shared::new(0)));
        published.set(Some(&snapshot(1)));
        let reader = thread::spawn({
            let (published, returned) = (Arc::clone(&published), Arc::clone(&returned));
            move || {
                // Once to ask, once to have a copy.
                let mut got = vec![fresh(&published), fresh(&published)];
                for _ in 0..3 {
                    let known = returned.load(Ordering::Acquire) == 1;
                    let generation = fresh(&published);
                    assert!(!known || generation == next.unwrap_or(0), "an old token after its replacement");
                    got.push(generation);
                }
                let first_new = got.iter().position(|generation| *generation != 1).unwrap_or(got.len());
                assert!(
                    got[first_new..].iter().all(|generation| *generation == next.unwrap_or(0)),
                    "{got:?}"
                );
            }
        });
        published.set(next.map(snapshot).as_ref());
        returned.store(1, Ordering::Release);
        assert_eq!(fresh(&published), next.unwrap_or(0));
        reader.join().unwrap();
    });
}

#[test]
fn i_11_after_its_replacement_no_thread_is_given_the_old_token() {
    reads_in_order(Some(2));
}

#[test]
fn i_11_after_its_withdrawal_no_thread_is_given_the_token() {
    reads_in_order(None);
}

#[test]
fn i_11_a_token_of_the_same_name_is_another_token() {
    loom::model(|| {
        let published = Arc::new(Published::default());
        let text = |published: &Published| {
            published.fresh(Timestamp::ZERO).map(|token| token.secret().expose().to_owned())
        };
        published.set(Some(&snapshot(1)));
        let (first, second) = (text(&published), text(&published));
        assert_eq!((first.as_deref(), second.as_deref()), (Some("at1"), Some("at1")));
        let writer = thread::spawn({
            let published = Arc::clone(&published);
            move || {
                let other = Snapshot { access_token: Secret::from("other"), ..snapshot(1) };
                published.set(None);
                published.set(Some(&other));
            }
        });
        let _ = text(&published);
        writer.join().unwrap();
        assert_eq!(text(&published).as_deref(), Some("other"));
    });
}

#[test]
fn core_12_an_acceptance_is_news_once_whatever_thread_brings_it() {
    loom::model(|| {
        let (published, news) = (Arc::new(Published::default()), Arc::new(Shared::new(0)));
        published.set(Some(&snapshot(1)));
        let accept = |published: &Published, news: &Shared| {
            fresh(published);
            for _ in 0..2 {
                news.fetch_add(u64::from(published.is_news(snapshot(1).id)), Ordering::Relaxed);
            }
        };
        let other = thread::spawn({
            let (published, news) = (Arc::clone(&published), Arc::clone(&news));
            move || accept(&published, &news)
        });
        accept(&published, &news);
        other.join().unwrap();
        assert_eq!(news.load(Ordering::Relaxed), 1);
    });
}
