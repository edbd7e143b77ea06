//! One connection to one Redis.

mod error;
mod secret;
mod address;
mod script;
mod call;
mod reply;
pub mod resp;
mod pipeline;
mod connection;
pub mod connect;

pub use address::{Address, Target, UrlError};
pub use call::Call;
pub use connection::{Connection, Greeting, Introduction};
pub use error::{Error, printable};
pub use pipeline::{Driver, Event, Stream};
pub use reply::WireReply;
pub use resp::Limits;
pub use script::Script;
pub use secret::Secret;
