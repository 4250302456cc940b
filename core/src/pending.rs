use alloc::collections::VecDeque;

use crate::{Body, Grant, Record, Secret, SessionId};

/// A sign-in or a sign-out that the store may not know yet. It holds in this process from the moment of the command;
/// until it is written it is owed to the store.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// Write the first record of a new session, over whatever is there.
    SignIn { record: Record, attempt: Attempt },
    /// Sign out a session that never came to be written, but whose sign-in may still land.
    Withdraw { session: SessionId, attempt: Attempt, newest: Option<Secret> },
    /// Write the tombstone of this session; of the one that the first load finds, if none is known yet.
    SignOut { session: Option<SessionId>, newest: Option<Secret> },
}

/// What is known of the attempts to write a new session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempt {
    /// The session that stood there when it was last tried.
    over: Option<SessionId>,
    /// Whether a commit had no answer: it may have been written, or land later (rule 11).
    unanswered: bool,
}

/// What a pending command has to do, now that the store was read.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is written, or there is nothing to write.
    Done,
    /// Another identity took the place after ours was, perhaps, written.
    Superseded,
    /// Replace what was read by this.
    Commit(Record),
}

impl Pending {
    pub(crate) fn sign_in(record: Record) -> Self {
        Self::SignIn { record, attempt: Attempt::default() }
    }

    pub(crate) fn is_sign_out(&self) -> bool {
        match self {
            Self::SignIn { .. } => false,
            Self::Withdraw { .. } | Self::SignOut { .. } => true,
        }
    }

    /// The record of a sign-in that the store may not know yet.
    pub(crate) fn signed_in(&self) -> Option<&Record> {
        match self {
            Self::SignIn { record, .. } => Some(record),
            Self::Withdraw { .. } | Self::SignOut { .. } => None,
        }
    }

    /// The sign-out of what is known so far.
    pub(crate) fn sign_out(before: Option<Self>, session: Option<SessionId>, known: Option<&Record>) -> Self {
        match before {
            Some(Self::SignIn { record, attempt }) => {
                Self::Withdraw { session: record.session, attempt, newest: refresh_token(&record) }
            }
            Some(unwritten @ (Self::Withdraw { .. } | Self::SignOut { .. })) => unwritten,
            None => Self::SignOut { session, newest: known.and_then(refresh_token) },
        }
    }

    /// The newest refresh token of the session that is signed out, to be revoked when that is done (SESS-05).
    pub(crate) fn newest(&self) -> Option<&Secret> {
        match self {
            Self::SignIn { .. } => None,
            Self::Withdraw { newest, .. } | Self::SignOut { newest, .. } => newest.as_ref(),
        }
    }

    pub(crate) fn unanswered(&mut self) {
        match self {
            Self::SignIn { attempt, .. } | Self::Withdraw { attempt, .. } => attempt.unanswered = true,
            // A tombstone recognises itself; nothing has to be remembered.
            Self::SignOut { .. } => {}
        }
    }

    /// `own` are the identities of this process, of which an earlier one may have landed late.
    pub(crate) fn next(&mut self, found: Option<&Record>, own: &VecDeque<SessionId>) -> Next {
        match self {
            Self::SignIn { record, attempt } => {
                if found.is_some_and(|found| found.session == record.session) {
                    return Next::Done;
                }
                attempt.again(found, own, || record.clone())
            }
            Self::Withdraw { session, attempt, newest } => match found {
                Some(found) if found.session == *session => bury(found, newest),
                _ => attempt.again(found, own, || Record::tombstone(*session)),
            },
            Self::SignOut { session, newest } => match found {
                Some(found)
                    if *session.get_or_insert(found.session) == found.session
                        || own.contains(&found.session) =>
                {
                    bury(found, newest)
                }
                _ => Next::Done,
            },
        }
    }
}

fn bury(found: &Record, newest: &mut Option<Secret>) -> Next {
    if found.body == Body::SignedOut {
        return Next::Done;
    }
    *newest = refresh_token(found).or(newest.take());
    Next::Commit(Record::tombstone(found.session))
}

fn refresh_token(record: &Record) -> Option<Secret> {
    record.grant().and_then(Grant::refresh_token).cloned()
}

impl Attempt {
    /// A new session goes over whatever is there, but not over one that may have replaced it (rule 11).
    fn again(
        &mut self,
        found: Option<&Record>,
        own: &VecDeque<SessionId>,
        record: impl FnOnce() -> Record,
    ) -> Next {
        let found = found.map(|found| found.session);
        let foreign = self.over != found && !found.is_some_and(|found| own.contains(&found));
        if self.unanswered && foreign {
            return Next::Superseded;
        }
        self.over = found;
        Next::Commit(record())
    }
}
