//! The bindle that the operator asked for.

use std::fmt;

use crate::config::BindleLocation;
use crate::config::invoice::id::BindleId;

/// A bindle to serve.
#[derive(Clone)]
pub struct BindleConfig {
    /// Its name and version.
    pub id: BindleId,
    /// Where it is.
    pub location: BindleLocation,
    /// The variables of all its scripts.
    pub environment: Vec<(String, String)>,
    /// Whether unknown keys of its invoice are errors.
    pub strict: bool,
}

/// Shows what is served, but not the variables: they are often secrets.
impl fmt::Debug for BindleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindleConfig").field("id", &self.id).field("location", &self.location).finish_non_exhaustive()
    }
}
