//! What the published token is made of. Under `--cfg loom` a model checker tries every order of its steps.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Mutex, atomic::AtomicU64},
    thread_local,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Mutex, atomic::AtomicU64},
    thread_local,
};
