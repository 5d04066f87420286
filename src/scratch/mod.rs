//! Where do files lie that live only as long as their request?
//!
//! Each process has a directory of its own, locked as long as it runs, below one directory for all. A request gets a directory in it
//! when it first creates something, with a limit on the length of its files and on their number. All requests together have a limit,
//! too. A start removes what processes have left that do not run any more.
//!
//! | file | question |
//! | --- | --- |
//! | `limits`, `budget` | how much may be in one directory, and in all of them? |
//! | `space` | which directory has the process, and what is removed at the start? |
//! | `directory` | how much may be in the directory of a request, and when is it removed? |
//! | `tree` | how is a directory measured and removed that a stranger has filled? |

mod budget;
mod directory;
mod limits;
mod space;
mod tree;

pub use crate::scratch::directory::ScratchDirectory;
pub use crate::scratch::limits::{ScratchLimits, ScratchUse};
pub use crate::scratch::space::{ScratchError, ScratchSpace};
