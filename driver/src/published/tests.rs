#![allow(clippy::unwrap_used)]

use std::{
    sync::{Barrier, atomic::AtomicUsize, mpsc::channel},
    thread,
    time::Duration,
};

use token_refresh_core::{Epoch, Generation, Secret, TokenType};

use super::*;

fn snapshot(generation: u64) -> Snapshot {
    Snapshot {
        id: TokenId { epoch: Epoch(1), generation: Generation(generation) },
        access_token: Secret::from(format!("at{generation}")),
        token_type: TokenType::Bearer,
        scope: None,
        end: Some(Timestamp::from_millis(3_000)),
        soft_end: Some(Timestamp::from_millis(1_000)),
        hard_end: Some(Timestamp::from_millis(2_000)),
    }
}

fn published(generation: u64) -> Published {
    let published = Published::default();
    published.set(Some(&snapshot(generation)));
    published
}

fn fresh(published: &Published) -> Option<Token> {
    published.fresh(Timestamp::ZERO)
}

/// Where its header field lies in memory.
fn address(token: &Token) -> usize {
    token.header().as_bytes().as_ptr().addr()
}

/// So many times this thread is spared the lock.
fn copies() -> usize {
    COPIES.with(|copies| copies.borrow().0.iter().filter(|copy| copy.token.is_some()).count())
}

#[test]
fn a_thread_that_asks_again_has_a_copy_that_no_other_thread_counts_references_to() {
    let published = published(1);
    let addresses = || {
        let tokens: Vec<_> = (0..4).map(|_| fresh(&published).unwrap()).collect();
        assert!(tokens.iter().all(|token| token.header() == "Bearer at1" && token.header().is_sensitive()));
        assert!(tokens.iter().all(|token| token.secret().expose() == "at1"));
        tokens.iter().map(address).collect::<Vec<_>>()
    };
    let here = addresses();
    let there = thread::scope(|scope| scope.spawn(addresses).join().unwrap());
    let original = address(&published.get().unwrap());
    assert_eq!([here[0], there[0]], [original; 2]);
    for own in [&here[1..], &there[1..]] {
        assert!(own.iter().all(|address| *address == own[0] && *address != original));
    }
    assert_ne!(here[1], there[1]);
}

#[test]
fn i_11_no_thread_is_given_a_token_that_was_withdrawn_or_replaced() {
    const THREADS: usize = 4;
    let (published, step) = (published(1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for expected in [Some("Bearer at1"), None, Some("Bearer at2"), Some("Bearer at3")] {
                    step.wait();
                    for _ in 0..3 {
                        let token = fresh(&published);
                        let header = token.as_ref().map(|token| token.header().to_str().unwrap());
                        assert_eq!(header, expected);
                    }
                    step.wait();
                }
            });
        }
        for next in [None, Some(snapshot(2)), Some(snapshot(3)), None] {
            step.wait();
            step.wait();
            published.set(next.as_ref());
        }
    });
}

#[test]
fn a_thread_that_has_a_copy_takes_no_lock() {
    let (published, (done, finished)) = (published(1), channel());
    thread::spawn(move || {
        fresh(&published).unwrap();
        assert!(published.is_news(snapshot(1).id));
        fresh(&published).unwrap();
        // With the lock held, anything that needs it would wait for ever.
        let held = published.place();
        fresh(&published).unwrap();
        assert!(!published.is_news(snapshot(1).id));
        assert!(!published.is_news(snapshot(0).id));
        drop(held);
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[test]
fn core_16_from_the_soft_end_on_the_machine_is_asked() {
    let published = published(1);
    for _ in 0..3 {
        assert!(published.fresh(Timestamp::from_millis(999)).is_some());
        assert!(published.fresh(Timestamp::from_millis(1_000)).is_none());
    }
    assert!(published.get().is_some());
}

#[test]
fn sec_04_a_thread_clears_the_copies_of_tokens_that_were_replaced_or_left_behind() {
    let (replaced, withdrawn, left, used) = (published(1), published(2), published(3), published(4));
    for published in [&replaced, &withdrawn, &left] {
        fresh(published).unwrap();
        fresh(published).unwrap();
    }
    assert_eq!(copies(), 3);
    replaced.set(Some(&snapshot(5)));
    withdrawn.set(None);
    drop(left);
    fresh(&used).unwrap();
    assert_eq!(copies(), 0);
    // Only one that asks for nothing but a token that is gone.
    fresh(&used).unwrap();
    used.set(None);
    assert!(fresh(&used).is_none());
    assert_eq!(copies(), 0);
}

#[test]
fn sec_04_a_thread_has_few_copies_however_many_sessions_it_serves() {
    let all: Vec<_> = (0..100).map(published).collect();
    for published in &all {
        for _ in 0..3 {
            fresh(published).unwrap();
        }
    }
    assert_eq!(copies(), Copies::MOST);
    // In turn, it copies nothing.
    for published in &all {
        fresh(published).unwrap();
    }
    assert_eq!(copies(), 0);
}

#[test]
fn core_12_an_acceptance_is_news_once_whatever_thread_brings_it() {
    let (published, news) = (published(1), AtomicUsize::new(0));
    let id = snapshot(1).id;
    let accept = |id| news.fetch_add(usize::from(published.is_news(id)), Ordering::SeqCst);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..4 {
                    accept(id);
                    fresh(&published).unwrap();
                }
            });
        }
    });
    assert_eq!(news.load(Ordering::SeqCst), 1);

    published.set(Some(&snapshot(2)));
    accept(id);
    assert_eq!(news.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        accept(snapshot(2).id);
    }
    assert_eq!(news.load(Ordering::SeqCst), 2);

    // Another server may take what one has refused.
    published.set(None);
    accept(snapshot(2).id);
    assert_eq!(news.load(Ordering::SeqCst), 3);
}
