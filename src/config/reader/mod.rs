//! Reading a TOML file: its text, its values, their locations, and the problems with them.

pub(in crate::config) mod file;
pub(in crate::config) mod origin;
pub(in crate::config) mod report;
pub(in crate::config) mod route;
pub(in crate::config) mod suggest;
pub(in crate::config) mod values;
