//! For programs in Rust: speaks the protocol, so that only the client itself has to be written.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    io::{self, BufRead as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde::Serialize;

use super::protocol::{
    Ability, Cause, Command, FirstOfKit, FirstOfProgram, Hello, Outcome, Request, Settings, Tokens, VERSION,
    What,
};

/// A client, with a session of its own. Shared by threads: each request is sent on its own.
pub trait Client: Send + Sync + Sized + 'static {
    /// What it is able to do.
    const ABILITIES: &'static [Ability];

    /// Makes one. Nobody is signed in, unless the store says so.
    ///
    /// # Errors
    /// The settings cannot be followed.
    fn new(settings: &Settings) -> Result<Self, Box<dyn Error>>;

    /// Sends a request and reads the whole answer. With [`Ability::Cancel`] it says how to take it back.
    fn send(&self, request: Request, cancel: &Cancel) -> Outcome;

    /// These are the tokens of the user from now on. With a store, returns when they are in it.
    ///
    /// # Errors
    /// There is no way to use them.
    fn sign_in(&self, tokens: &Tokens) -> Result<(), Box<dyn Error>>;

    /// Nobody is signed in from now on. With a store, returns when it says so.
    ///
    /// # Errors
    /// There is no way to do so.
    fn sign_out(&self) -> Result<(), Box<dyn Error>>;

    /// Ends what is under way. The program ends after it.
    fn leave(&self) {}
}

/// How to take back a request that is under way.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<Option<How>>>);

type How = Box<dyn FnOnce() + Send>;

impl Cancel {
    /// Says how.
    pub fn by(&self, how: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(how));
    }

    fn carry_out(&self) {
        let how = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(how) = how {
            how();
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancel(..)")
    }
}

impl Outcome {
    /// An answer that the caller gets.
    pub fn answer(status: u16, body: &[u8]) -> Self {
        let body = Some(String::from_utf8_lossy(body).into_owned());
        Self { status: Some(status), body, ..Self::default() }
    }

    /// The caller is not served; `error` is all that it is shown.
    pub fn failure(cause: Cause, error: impl Into<String>) -> Self {
        Self { failed: Some(cause), error: Some(error.into()), ..Self::default() }
    }

    /// The caller is not served, and gets this answer, which is the refusal.
    #[must_use]
    pub fn with_refusal(self, refusal: Option<Self>) -> Self {
        let (status, body) = refusal.map_or((None, None), |refusal| (refusal.status, refusal.body));
        Self { status, body, ..self }
    }
}

/// Speaks the protocol until the kit says that nothing more will come.
///
/// # Errors
/// The kit has gone, or says what is not in the protocol.
pub fn serve<C: Client>() -> io::Result<()> {
    let hello = Hello { version: VERSION, can: C::ABILITIES.to_vec() };
    say(&FirstOfProgram { hello })?;
    let mut lines = io::stdin().lock().lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let first: FirstOfKit = serde_json::from_str(&first?)?;
    let client = Arc::new(C::new(&first.settings).map_err(other)?);
    let mut under_way: BTreeMap<u64, Cancel> = BTreeMap::new();
    for line in lines {
        let Command { id, what } = serde_json::from_str(&line?)?;
        let done = Outcome { id, ..Outcome::default() };
        match what {
            What::Send(request) => {
                let (client, cancel) = (Arc::clone(&client), under_way.entry(id).or_default().clone());
                thread::spawn(move || say(&Outcome { id, ..client.send(request, &cancel) }));
            }
            What::SignIn(tokens) => {
                client.sign_in(&tokens).map_err(other)?;
                say(&done)?;
            }
            What::SignOut {} => {
                client.sign_out().map_err(other)?;
                say(&done)?;
            }
            What::Cancel(request) => {
                under_way.get(&request).into_iter().for_each(Cancel::carry_out);
                say(&done)?;
            }
        }
    }
    client.leave();
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn other(error: Box<dyn Error>) -> io::Error {
    io::Error::other(error.to_string())
}

fn say(message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    io::stdout().lock().write_all(line.as_bytes())
}
