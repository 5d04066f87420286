//! What may the content of a response be?
//!
//! | file | question |
//! | --- | --- |
//! | `coding` | in which codings does a client take it? |
//! | `status` | is there any, and all of it, with this status? |

pub(crate) mod coding;
pub(crate) mod status;
