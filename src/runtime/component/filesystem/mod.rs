//! How does a component use files?
//!
//! | file | question |
//! | --- | --- |
//! | `files` | how are files opened, read and written? |
//! | `paths` | what do paths that end in a slash mean? |

pub(in crate::runtime::component) mod files;
pub(in crate::runtime::component) mod paths;
