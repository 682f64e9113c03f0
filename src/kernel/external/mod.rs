//! What does not fit into memory: rows in a scratch file, spread by the hashes of their keys or in sorted runs, and
//! how they are merged again. Nobody here knows which op is at work.

mod join;
mod keyed;
mod merge;
mod scratch;

pub use join::{ExternalJoin, ExternalRight};
pub use keyed::{Keyed, KeysAt, ONE_GROUP, PartByPart, ranked};
pub use merge::{Merge, Numbered, Run};
pub use scratch::{Place, Scratch};
