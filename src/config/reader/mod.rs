//! How a TOML file is read: its text, its values, and where in it each thing stands.

pub(in crate::config) mod file;
pub(in crate::config) mod origin;
pub(in crate::config) mod report;
pub(in crate::config) mod route;
pub(in crate::config) mod suggest;
pub(in crate::config) mod values;
