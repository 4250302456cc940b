//! What only the command-line tool needs: its options, its progress bar, and a module for each subcommand.

pub(crate) mod client;
pub(crate) mod list;
pub(crate) mod machine;
pub(crate) mod options;
mod progress;
pub(crate) mod summary;
