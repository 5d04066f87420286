//! Which guests have computed for long, and where?

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::runtime::{GuestProfile, ProfileSink};

use crate::observe::access::RouteName;
use crate::observe::request_id::RequestId;
use crate::observe::requests::{lock, seconds};

/// The profiles of the guests that have computed for long, the newest last.
#[derive(Default)]
pub(crate) struct ProfileLog(Mutex<VecDeque<KeptProfile>>);

/// A guest that has computed for long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeptProfile {
    /// The id of its request, as the log has it.
    pub id: String,
    /// When it ended.
    pub time: SystemTime,
    /// The pattern of its route.
    pub route: String,
    /// Its CPU time at the last sample.
    pub cpu_time: Duration,
    /// How often it was looked at.
    pub samples: u32,
    /// The profile, as the Firefox Profiler reads it.
    pub profile: Bytes,
}

impl KeptProfile {
    /// An object with all but the profile itself. Durations are in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "time": humantime::format_rfc3339_millis(self.time).to_string(),
            "route": self.route,
            "cpu_time": seconds(self.cpu_time),
            "samples": self.samples,
            "bytes": self.profile.len(),
        })
    }
}

impl ProfileLog {
    /// The profiles, the newest first.
    pub fn list(&self) -> Vec<KeptProfile> {
        lock(&self.0).iter().rev().cloned().collect()
    }

    /// The profile of the guest of a request.
    pub fn find(&self, id: &str) -> Option<Bytes> {
        lock(&self.0).iter().find(|kept| kept.id == id).map(|kept| kept.profile.clone())
    }

    fn push(&self, profile: KeptProfile, kept: usize) {
        let mut profiles = lock(&self.0);
        profiles.push_back(profile);
        let oldest = profiles.len().saturating_sub(kept);
        let gone: Vec<_> = profiles.drain(..oldest).collect();
        drop(profiles);
        drop(gone);
    }
}

/// Where the profiles of the guests of a route go.
pub(crate) struct RouteProfiles {
    /// The list of all routes.
    pub log: Arc<ProfileLog>,
    pub name: Arc<RouteName>,
    /// How many are kept of all routes.
    pub kept: usize,
}

impl ProfileSink for RouteProfiles {
    fn keep(&self, GuestProfile { request, cpu_time, samples, json }: GuestProfile) {
        let id = RequestId::new(request).as_str().to_owned();
        let (route, profile) = (self.name.route.clone(), Bytes::from(json));
        self.log.push(KeptProfile { id, time: SystemTime::now(), route, cpu_time, samples, profile }, self.kept);
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::requests::profiles::*;

    #[test]
    fn the_newest_are_kept_and_found_by_their_id() {
        let log = Arc::new(ProfileLog::default());
        let name = Arc::new(RouteName::new(&"/a", &"a.wasm"));
        let sink = RouteProfiles { log: log.clone(), name, kept: 2 };
        for request in 1..=3 {
            let json = request.to_string().into_bytes();
            sink.keep(GuestProfile { request, cpu_time: Duration::from_millis(250), samples: 9, json });
        }
        let ids: Vec<_> = log.list().into_iter().map(|kept| kept.id).collect();
        assert_eq!(ids, ["0000000000000003", "0000000000000002"]);
        assert_eq!(log.find("0000000000000002").as_deref(), Some(&b"2"[..]));
        assert_eq!(log.find("0000000000000001"), None);
        let json = log.list()[0].to_json();
        assert_eq!((&json["cpu_time"], &json["bytes"], &json["route"]), (&0.25.into(), &1.into(), &"/a".into()));
    }
}
