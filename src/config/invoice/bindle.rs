//! The bindle that the operator asked for.

use std::fmt;

use crate::config::BindleLocation;
use crate::config::invoice::id::BindleId;

/// A bindle to serve.
#[derive(Clone)]
pub struct BindleConfig {
    /// The name and version.
    pub id: BindleId,
    /// Where it is.
    pub location: BindleLocation,
    /// The variables of `--env` and `--env-file`, for all its entries.
    pub environment: Vec<(String, String)>,
    /// Whether unknown keys in the invoice are errors.
    pub strict: bool,
}

/// Omits the variables, because they often hold secrets.
impl fmt::Debug for BindleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindleConfig").field("id", &self.id).field("location", &self.location).finish_non_exhaustive()
    }
}
