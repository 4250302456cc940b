//! The scripted servers of the kit behave as their documentation says.

mod client;
mod faults;
mod grants;
mod hostile;
mod http;
mod resources;
mod shutdown;
mod tokens;
