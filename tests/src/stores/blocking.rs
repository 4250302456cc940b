use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use token_refresh_core::{CommitError, Stored, Version};
use token_refresh_driver::{AsyncStore, Record, Store, StoreError};

/// An async store that blocks the thread which calls it, so that it can be checked like any other. It is polled
/// outside any runtime.
#[derive(Clone, Debug)]
pub struct Blocking<S>(pub S);

impl<S: AsyncStore> Store for Blocking<S> {
    fn load(&self) -> Result<Stored, StoreError> {
        block_on(self.0.load())
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        block_on(self.0.commit(expected, record))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
