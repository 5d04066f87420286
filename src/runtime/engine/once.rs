//! How is an engine made once, when it is first needed?

use std::sync::{Arc, Mutex, PoisonError};

use crate::runtime::error::Error;

/// A value that is made when it is first asked for. Unlike [`OnceLock`](std::sync::OnceLock), making it may fail, and then
/// the next call tries again.
pub(in crate::runtime) struct TryOnceLock<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for TryOnceLock<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> TryOnceLock<T> {
    /// Returns the value, made by `init` if this is the first call. Calls at the same time wait for one another.
    pub fn get_or_try_init(&self, init: impl FnOnce() -> Result<T, Error>) -> Result<Arc<T>, Error> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*slot {
            return Ok(value.clone());
        }
        let value = Arc::new(init()?);
        *slot = Some(value.clone());
        Ok(value)
    }
}
