//! What may the content of a response be?
//!
//! | file | question |
//! | --- | --- |
//! | `coding` | in which codings does a client take it? |

pub(crate) mod coding;
