//! Where the machines of a script live: in this process, or in another one.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::subject::{Settings, Subject};
use crate::vocabulary::{Input, Reply};

/// The machines of a script, by the number of their process.
pub trait Stage {
    /// A new machine without memory, in the place of the one that this process had.
    ///
    /// # Errors
    /// If there is none to be had.
    fn start(&mut self, process: u8, settings: &Settings, seed: u64, now: u64) -> Result<(), Collapse>;

    /// One call of the machine of this process.
    ///
    /// # Errors
    /// If no reply comes that can be understood. The script ends there.
    fn call(&mut self, process: u8, input: &Input, now: u64) -> Result<Reply, Collapse>;
}

/// Why a machine gives no reply, or none that can be understood: it panics, ends, hangs or babbles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Collapse(pub String);

/// Machines in this process.
#[derive(Debug)]
pub struct Local<S> {
    machines: BTreeMap<u8, S>,
}

impl<S> Default for Local<S> {
    fn default() -> Self {
        Self { machines: BTreeMap::new() }
    }
}

impl<S: Subject> Stage for Local<S> {
    fn start(&mut self, process: u8, settings: &Settings, seed: u64, now: u64) -> Result<(), Collapse> {
        let started = catch_unwind(|| S::start(settings, seed, now)).map_err(|words| panicked(&*words))?;
        self.machines.insert(process, started);
        Ok(())
    }

    fn call(&mut self, process: u8, input: &Input, now: u64) -> Result<Reply, Collapse> {
        let machine = self.machines.get_mut(&process);
        let machine = machine.ok_or_else(|| Collapse("the machine was never started".to_owned()))?;
        // It is not called again after a panic: what state it is in does not matter.
        catch_unwind(AssertUnwindSafe(|| machine.call(input, now))).map_err(|words| panicked(&*words))
    }
}

fn panicked(words: &(dyn Any + Send)) -> Collapse {
    let literal = words.downcast_ref::<&str>().copied();
    let words = literal.or_else(|| words.downcast_ref::<String>().map(String::as_str));
    Collapse(format!("the machine panics: {}", words.unwrap_or("it does not say why")))
}
