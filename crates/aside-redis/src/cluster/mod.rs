//! A Redis Cluster as its nodes describe it: slots, nodes, state and redirections.
//!
//! Parsers only. A server's text is read into plain values, each of which can also be
//! written as a server writes it, for servers in tests. A text that no server sends is
//! an error: a misread slot would send writes to the wrong node.
//!
//! | text | read by |
//! |---|---|
//! | a key | [`slot_of`] |
//! | the reply to `CLUSTER NODES` | [`parse_nodes`] |
//! | the reply to `CLUSTER INFO` | [`Info::parse`] |
//! | the error `MOVED` or `ASK` | [`Redirect::parse`] |

mod slot;
mod place;
mod redirect;
mod node;
mod nodes;
mod info;

pub use self::info::Info;
pub use self::node::{Flags, Node, NodeAddress};
pub use self::nodes::{Unreadable, parse_nodes};
pub(crate) use self::place::host as parse_host;
pub use self::redirect::{Redirect, RedirectKind};
pub use self::slot::{SLOTS, slot_of};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
