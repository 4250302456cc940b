//! What callers read without asking the machine: the token that it published last.
//!
//! A token is used by many threads, and a count of references that all of them write would make each of them wait for
//! the others. So a thread that asks for a token more than once has a copy of it, with a count of its own, and what the
//! threads share is read only: a stamp that says which copy is the right one.
//!
//! Stamps are never used again, for no token of any session. So there is no moment at which an outdated copy could be
//! taken for the published token: once [`Published::set`] has returned, nobody finds the old one.
//!
//! # Copies that nobody needs any more
//!
//! They are secrets. A thread has at most [`Copies::MOST`]. It clears those that were replaced, withdrawn or left behind
//! by their session whenever it does not find what it looks for, which is at the latest when it first asks for the next
//! token; and the rest when it ends. A thread that never again asks for any token keeps what it has until then: no other
//! thread can reach it. Such a copy is never handed out.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64 as Counter, Ordering},
    },
};

use token_refresh_core::{Snapshot, Timestamp, TokenId};

use crate::{
    Token,
    sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, thread_local},
};

/// Written under the machine's lock, read without it.
#[derive(Default)]
pub(crate) struct Published {
    stamp: Arc<Stamp>,
    place: Mutex<Option<Arc<Original>>>,
}

/// Which token is published; zero for none. Read by every request and written once per token, so it must not lie beside
/// anything that is written more often: it has a cache line, or the pair that some processors fetch, to itself.
#[derive(Default)]
#[repr(align(128))]
struct Stamp(AtomicU64);

/// A token as it was published.
struct Original {
    stamp: u64,
    token: Token,
    scope: Option<Box<str>>,
    soft_end: Option<Timestamp>,
    accepted: AtomicBool,
}

impl Published {
    const NONE: u64 = 0;

    /// Replaces the token, or withdraws it. Once this has returned, nobody is given the old one.
    pub(crate) fn set(&self, snapshot: Option<&Snapshot>) {
        static LAST: Counter = Counter::new(Published::NONE);
        let original = snapshot.map(|snapshot| {
            // Only has to be different each time.
            let stamp = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            Arc::new(Original {
                stamp,
                token: Token::new(snapshot),
                scope: snapshot.scope.clone(),
                soft_end: snapshot.soft_end,
                accepted: AtomicBool::new(false),
            })
        });
        let mut place = self.place();
        let stamp = original.as_ref().map_or(Self::NONE, |original| original.stamp);
        let old = std::mem::replace(&mut *place, original);
        self.stamp.0.store(stamp, Ordering::Release);
        // Clearing the old token's memory need not hold up readers.
        drop(place);
        drop(old);
    }

    /// The token, however old it is.
    pub(crate) fn get(&self) -> Option<Token> {
        self.place().as_ref().map(|original| original.token.clone())
    }

    /// The scope of the token.
    pub(crate) fn scope(&self) -> Option<String> {
        self.place().as_ref()?.scope.as_deref().map(Into::into)
    }

    /// The token, if it can be used without asking the machine.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<Token> {
        let stamp = self.stamp.0.load(Ordering::Acquire);
        let own = COPIES.try_with(|copies| {
            let copies = copies.borrow();
            let copy = copies.of(stamp)?;
            Some(copy.token.as_ref()?).map(|token| is_fresh(copy.soft_end, now).then(|| token.clone()))
        });
        match own {
            Ok(Some(token)) => token,
            // The thread has none, or is about to end.
            Ok(None) | Err(_) => self.look_up(now),
        }
    }

    /// Whether the machine may want to know that this token was accepted. Once per token it does; a token that was
    /// replaced is of no interest any more, but one that was just refused by another server still is.
    pub(crate) fn is_news(&self, accepted: TokenId) -> bool {
        let stamp = self.stamp.0.load(Ordering::Acquire);
        let known = COPIES.try_with(|copies| {
            copies.borrow().of(stamp).is_some_and(|copy| copy.told.get() || copy.id != accepted)
        });
        !known.unwrap_or(false) && self.is_first(accepted)
    }

    #[cold]
    fn look_up(&self, now: Timestamp) -> Option<Token> {
        let original = self.place().clone();
        let own = COPIES.try_with(|copies| {
            let mut copies = copies.borrow_mut();
            copies.tidy();
            copies.asked_for(original.as_ref()?, &self.stamp)
        });
        let original = original.filter(|original| is_fresh(original.soft_end, now))?;
        Some(own.ok().flatten().unwrap_or_else(|| original.token.clone()))
    }

    #[cold]
    fn is_first(&self, accepted: TokenId) -> bool {
        let Some(original) = self.place().clone() else { return true };
        if original.token.id() != accepted {
            return false;
        }
        // From now on this thread need not look here.
        let _ = COPIES.try_with(|copies| {
            if let Some(copy) = copies.borrow().of(original.stamp) {
                copy.told.set(true);
            }
        });
        !original.accepted.swap(true, Ordering::Relaxed)
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<Original>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // For the threads that still have copies.
        self.set(None);
    }
}

fn is_fresh(soft_end: Option<Timestamp>, now: Timestamp) -> bool {
    soft_end.is_none_or(|end| now < end)
}

thread_local! {
    static COPIES: RefCell<Copies> = const { RefCell::new(Copies(Vec::new())) };
}

/// The tokens that a thread asked for lately, of all sessions.
struct Copies(Vec<Copy>);

struct Copy {
    stamp: u64,
    id: TokenId,
    soft_end: Option<Timestamp>,
    /// Whether nobody needs to be told that the token was accepted.
    told: Cell<bool>,
    /// `None` until the thread asks for it again: a thread that serves thousands of sessions in turn copies nothing.
    token: Option<Token>,
    /// The stamp of the session's published token.
    published: Arc<Stamp>,
}

impl Copies {
    /// How many sessions a thread can serve by turns without a lock.
    const MOST: usize = 8;

    fn of(&self, stamp: u64) -> Option<&Copy> {
        self.0.iter().find(|copy| copy.stamp == stamp)
    }

    /// Clears what nobody can ask for any more.
    fn tidy(&mut self) {
        self.0.retain(|copy| copy.published.0.load(Ordering::Relaxed) == copy.stamp);
    }

    /// A copy, if this was not the first time.
    fn asked_for(&mut self, original: &Original, published: &Arc<Stamp>) -> Option<Token> {
        if let Some(copy) = self.0.iter_mut().find(|copy| copy.stamp == original.stamp) {
            return Some(copy.token.insert(original.token.copied()).clone());
        }
        self.0.truncate(Self::MOST - 1);
        let &Original { stamp, soft_end, .. } = original;
        let (id, told, published) = (original.token.id(), Cell::new(false), Arc::clone(published));
        self.0.insert(0, Copy { stamp, id, soft_end, told, token: None, published });
        None
    }
}

#[cfg(test)]
mod tests;
