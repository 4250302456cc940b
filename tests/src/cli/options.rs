//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::{Arg, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
Tests how a program refreshes access tokens.

Usage:
  token-refresh-conformance machine [OPTIONS] -- PROGRAM [ARGUMENTS]
      PROGRAM is a state machine. It speaks JSON lines on its standard input
      and output, as tests/PROTOCOL.md says. Random histories are played to
      it; one that breaks a rule is made as small as possible and written to
      conformance-failures/.
  token-refresh-conformance client [OPTIONS] -- PROGRAM [ARGUMENTS]
      PROGRAM is an HTTP client. It is run against an authorization server
      and an API that misbehave on purpose, and judged by what they see.
  token-refresh-conformance list
      Says what is tested.

Options:
  --list           say what would be tested, and test nothing
  --only IDS       only these requirements or scenarios: ids, or beginnings of
                   ids, with commas between them
  --strict         what should be kept counts as what must be kept, and what
                   was not exercised counts as not kept
  --seed N         where chance begins [1]
  --cases N        machine: how many histories of each kind [500]
  --replay FILE    machine: play this script and nothing else
  --report FILE    write a page for people (HTML)
  --json FILE      write the verdicts as JSON
  --junit FILE     write the verdicts as JUnit XML
  --help           this text

Exit code: 0 it conforms, 1 it does not, 2 it could not be tested (the message
says what to do), 3 nothing was shown, since nothing was exercised.
";

/// What to do, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) command: Command,
    /// Say what would be tested, and test nothing.
    pub(crate) list: bool,
    pub(crate) only: Vec<String>,
    pub(crate) strict: bool,
    pub(crate) seed: u64,
    pub(crate) cases: u32,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) junit: Option<PathBuf>,
    /// The program under test and its arguments.
    pub(crate) program: Vec<OsString>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    List,
    Machine,
    Client,
}

impl Options {
    pub(crate) fn read() -> Result<Self, lexopt::Error> {
        Self::parse(Parser::from_env())
    }

    fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self {
            command: Command::Help,
            list: false,
            only: Vec::new(),
            strict: false,
            seed: 1,
            cases: 500,
            replay: None,
            report: None,
            json: None,
            junit: None,
            program: Vec::new(),
        };
        let mut command = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => return Ok(options),
                Arg::Long("list") => options.list = true,
                Arg::Long("only") => {
                    let ids = parser.value()?.string()?;
                    options.only.extend(ids.split(',').map(|id| id.trim().to_owned()));
                }
                Arg::Long("strict") => options.strict = true,
                Arg::Long("seed") => options.seed = number("--seed", &mut parser)?,
                Arg::Long("cases") => options.cases = number("--cases", &mut parser)?,
                Arg::Long("replay") => options.replay = Some(parser.value()?.into()),
                Arg::Long("report") => options.report = Some(parser.value()?.into()),
                Arg::Long("json") => options.json = Some(parser.value()?.into()),
                Arg::Long("junit") => options.junit = Some(parser.value()?.into()),
                Arg::Value(name) if command.is_none() => command = Some(subcommand(&name.string()?)?),
                // After `--`: the rest is the program's.
                Arg::Value(program) => {
                    options.program.push(program);
                    options.program.extend(parser.raw_args()?);
                }
                other => return Err(other.unexpected()),
            }
        }
        options.command = command.ok_or("say what to do: machine, client or list")?;
        options.list |= options.command == Command::List;
        if !options.list && options.program.is_empty() {
            return Err("say which program to test, after the options: -- ./program".into());
        }
        Ok(options)
    }

    /// The program under test and its arguments, as one would type them.
    pub(crate) fn command_line(&self) -> String {
        let words: Vec<String> =
            self.program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }
}

/// The value of this option, as a number that fits.
fn number<T: FromStr>(option: &str, parser: &mut Parser) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|_| format!("{option} takes a whole number, not {text:?}").into())
}

fn subcommand(name: &str) -> Result<Command, String> {
    match name {
        "machine" => Ok(Command::Machine),
        "client" => Ok(Command::Client),
        "list" => Ok(Command::List),
        _ => Err(format!("there is no subcommand {name:?}: machine, client, list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words = std::iter::once("token-refresh-conformance").chain(line.split_whitespace());
        Options::parse(Parser::from_iter(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_follows_the_dashes_belongs_to_the_program() {
        let options = parse("machine --cases 7 -- python3 -u machine.py --seed 9").expect("it is a command");
        assert_eq!((options.command, options.cases, options.seed), (Command::Machine, 7, 1));
        assert_eq!(options.program, ["python3", "-u", "machine.py", "--seed", "9"]);
    }

    #[test]
    fn a_mistake_is_answered_with_what_to_do() {
        assert_eq!(
            parse("machine"),
            Err("say which program to test, after the options: -- ./program".into())
        );
        assert_eq!(parse("test"), Err("there is no subcommand \"test\": machine, client, list".into()));
        assert_eq!(parse("machine --seed abc -- x"), Err("--seed takes a whole number, not \"abc\"".into()));
        assert_eq!(parse("--strict"), Err("say what to do: machine, client or list".into()));
    }
}
