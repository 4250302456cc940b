//! Stores that come with the driver, and the parts that other stores are made of.
//!
//! - [`FileStore`]: one private file that the processes of a machine share.
//! - [`MemoryStore`]: sessions of one process share it; nothing survives the process. For tests and examples.
//! - [`MemoryTable`]: the same for a great many credentials, for [`Sessions`](crate::Sessions).
//!
//! A store of one's own implements [`Store`](crate::Store), two functions. [`Document`] is the text form of a record,
//! the same in every store; [`LockFile`] turns a place that knows no compare-and-set, a keyring say, into one that does
//! for the processes of one machine. `examples/keyring/main.rs` is such a store, whole. With feature `seal`,
//! [`RowFormat`] encrypts the text for a database that others can read.
//!
//! # What a store must promise
//!
//! A commit is durable and linearizable before it is answered, and a version is never used twice (rules 1 and 12 of the
//! claim protocol). A store that forgets an answered commit, for instance a replica that takes over without it, forgets
//! a claim: the refresh token may then be presented twice, and no client can notice. Loads may be stale.

mod document;
mod file;
mod file_error;
mod format_error;
mod layout;
mod lock_file;
mod members;
mod memory;
mod memory_table;
mod replace;
#[cfg(feature = "seal")]
mod row;
#[cfg(feature = "seal")]
mod seal;

pub use self::{
    document::Document,
    file::FileStore,
    file_error::{FileProblem, FileStoreError},
    format_error::FormatError,
    lock_file::{Held, LockFile},
    memory::MemoryStore,
    memory_table::{MemoryTable, MemoryTableStore},
};
#[cfg(feature = "seal")]
pub use self::{row::RowFormat, seal::Seal};
