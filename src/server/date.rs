//! Which Date does a response have when the clock has been set back?
//!
//! The HTTP library formats the date once for each second. If the clock is set back, the library keeps its old date until the
//! clock has reached it again. So the server looks at the clock each second. While the clock is behind, the server sets the Date
//! of responses itself, and the library does not change it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderValue};
use httpdate::HttpDate;

/// Whether the clock is behind the latest time that was seen. It is static because the clock is the same for the process.
static IS_BEHIND: AtomicBool = AtomicBool::new(false);

/// How often the clock is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches the clock for as long as it is polled.
pub(in crate::server) async fn watch_clock() {
    let mut latest = SystemTime::now();
    loop {
        tokio::time::sleep(INTERVAL).await;
        IS_BEHIND.store(is_behind(&mut latest, SystemTime::now()), Ordering::Relaxed);
    }
}

/// Whether `now` is before the latest time that was seen. A date does not show less than a second.
fn is_behind(latest: &mut SystemTime, now: SystemTime) -> bool {
    *latest = now.max(*latest);
    now + INTERVAL < *latest
}

/// Sets the Date of a response if the library's would be wrong.
pub(in crate::server) fn correct(headers: &mut HeaderMap) {
    if IS_BEHIND.load(Ordering::Relaxed) {
        set(headers, SystemTime::now());
    }
}

fn set(headers: &mut HeaderMap, now: SystemTime) {
    // A clock before 1970 is not a date of HTTP.
    let text = HttpDate::from(now.max(SystemTime::UNIX_EPOCH)).to_string();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.entry(DATE).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::date::*;

    const NOON: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn a_clock_that_goes_back_is_behind_until_it_has_caught_up() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + NOON + Duration::from_secs(seconds);
        let mut latest = at(100);
        let found = [101, 102, 50, 51, 100, 101, 102, 200].map(|seconds| is_behind(&mut latest, at(seconds)));
        assert_eq!(found, [false, false, true, true, true, false, false, false]);
    }

    #[test]
    fn the_date_is_the_clocks_and_a_guest_that_sets_its_own_keeps_it() {
        let mut headers = HeaderMap::new();
        set(&mut headers, SystemTime::UNIX_EPOCH + NOON);
        assert_eq!(headers[DATE], "Tue, 14 Nov 2023 22:13:20 GMT");
        set(&mut headers, SystemTime::UNIX_EPOCH - NOON);
        assert_eq!(headers[DATE], "Tue, 14 Nov 2023 22:13:20 GMT");
        headers.clear();
        set(&mut headers, SystemTime::UNIX_EPOCH - NOON);
        assert_eq!(headers[DATE], "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
