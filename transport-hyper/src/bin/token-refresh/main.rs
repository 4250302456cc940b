//! `token-refresh`: access tokens for scripts, and for programs in any language.
#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "what is said about an argument is its --help, and no markdown")]

mod account;
mod facts;
mod get;
mod problem;
mod proxy;
mod serve;
mod status;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{
    CommandFactory as _, Parser, Subcommand,
    builder::styling::{AnsiColor, Styles},
};
use clap_complete::Shell;

use crate::problem::Problem;

/// OAuth 2 access tokens for scripts, and for programs in any language
///
/// Keeps the tokens in one private file, refreshes them when they end or are refused, and never presents a refresh
/// token twice by accident. Any number of programs may share the file at the same time.
#[derive(Parser)]
#[command(name = "token-refresh", version, styles = STYLES, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Get(get::Options),
    Status(status::Options),
    Watch(watch::Options),
    Serve(serve::Options),
    /// Print what makes a shell complete the arguments
    ///
    ///     token-refresh completions bash > ~/.local/share/bash-completion/completions/token-refresh
    ///     token-refresh completions zsh > ~/.zfunc/_token-refresh
    ///     token-refresh completions fish > ~/.config/fish/completions/token-refresh.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// For which shell
        shell: Shell,
    },
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
The first time, hand over the answer that the token endpoint gave to your sign-in:

  export TOKEN_REFRESH_CREDENTIALS=~/.config/example/token.json
  export TOKEN_REFRESH_TOKEN_ENDPOINT=https://auth.example.com/token
  export TOKEN_REFRESH_CLIENT_ID=my-app
  token-refresh get --sign-in answer.json https://api.example.com/me

From then on:

  curl -H \"Authorization: Bearer $(token-refresh get)\" https://api.example.com/me

Exit codes: 0 done; 1 it did not work; 2 wrong usage; 3 sign in again; 4 try again later.";

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Get(options) => options.run().await,
        Command::Status(options) => options.run(),
        Command::Watch(options) => options.run(),
        Command::Serve(options) => options.run().await,
        Command::Completions { shell } => completions(shell),
    };
    done.map_or_else(Problem::report, |()| ExitCode::SUCCESS)
}

fn completions(shell: Shell) -> Result<(), Problem> {
    // By way of memory, since the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "token-refresh", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }
}
