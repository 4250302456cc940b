//! Locks, atomics and threads: all that threads of the driver meet in is taken from here, so that a model checker can
//! take its place and try the orders of their steps (`tests/interleavings`).

pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64},
    },
    thread, thread_local,
};
