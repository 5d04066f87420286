//! Which requests are in flight, and which have failed?
//!
//! Each route has its [`RequestRegister`], in which a request has a slot from the time when it first has to wait to its end. The last
//! requests of all routes that have failed are in one [`FailureLog`].

pub(in crate::observe) mod explanation;
pub(in crate::observe) mod facts;
pub(in crate::observe) mod failures;
pub(in crate::observe) mod last_words;
pub(in crate::observe) mod profiles;
pub(in crate::observe) mod register;
pub(in crate::observe) mod registration;
pub(in crate::observe) mod slot;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most bytes that a list shows of a target, a reason or a name that others have chosen.
const MAX_SHOWN: usize = 2 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of a text, with a sign that it goes on.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_SHOWN {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_SHOWN)])
}

/// A duration as JSON: seconds, with six digits.
fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use crate::observe::requests::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shortened("/a?b"), "/a?b");
        let long = "é".repeat(MAX_SHOWN);
        assert_eq!(shortened(&format!("a{long}")), format!("a{}…", "é".repeat(MAX_SHOWN / 2 - 1)));
    }

    #[test]
    fn durations_are_seconds_with_six_digits() {
        assert_eq!(seconds(std::time::Duration::from_nanos(1_234_567)), 0.001235);
    }
}
