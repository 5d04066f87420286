//! How often does the log say the same?
//!
//! A full disk makes each write fail. A warning for each would fill the other log, so there is one a minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time between two warnings.
const INTERVAL: Duration = Duration::from_secs(60);

/// The time since a warning.
#[derive(Default)]
pub(super) struct WarningInterval(Mutex<Option<Instant>>);

impl WarningInterval {
    /// Whether there may be another warning. If so, the interval begins again.
    pub fn is_over(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = last.is_none_or(|last| last.elapsed() >= INTERVAL);
        if is_over {
            *last = Some(Instant::now());
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::warning_interval::*;

    #[test]
    fn the_first_of_many_is_logged() {
        let interval = WarningInterval::default();
        assert_eq!([interval.is_over(), interval.is_over(), interval.is_over()], [true, false, false]);
    }
}
