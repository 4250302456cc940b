//! What only the command-line tool needs: its options, its progress bar, and a module for each subcommand.

pub(crate) mod client;
pub(crate) mod list;
pub(crate) mod machine;
pub(crate) mod options;
#[expect(dead_code, reason = "the subcommands that use it come next")]
pub(crate) mod progress;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything that was to be kept is kept.
    Passed,
    /// Something is not.
    #[expect(dead_code, reason = "the subcommands that say it come next")]
    Failed,
}
