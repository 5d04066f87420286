//! How does a program go on, in another instance, from where it has stopped?
//!
//! | file | question |
//! | --- | --- |
//! | `cold_reason` | why is a program not started warm? |
//! | `stopped` | what is a program that has stopped in a call? |
//! | `capture` | how is its state read? |
//! | `transform` | which module begins there? |
//! | `areas` | where does it have the strings that it has asked for? |
//! | `variables` | where in memory do its variables lie? |
//! | `arguments` | which arguments may requests have, and where in memory do they lie? |
//! | `times` | which words in it are times that it was told? |
//! | `files` | are the files that it has seen still the same? |
//! | `held_files` | which files does it have open? |

pub(in crate::runtime) mod areas;
pub(in crate::runtime) mod arguments;
pub(in crate::runtime) mod capture;
pub(in crate::runtime) mod cold_reason;
pub(in crate::runtime) mod files;
pub(in crate::runtime) mod held_files;
pub(in crate::runtime) mod stopped;
pub(in crate::runtime) mod times;
pub(in crate::runtime) mod transform;
pub(in crate::runtime) mod variables;
