//! Where are the requests of a route noted that have to wait?
//!
//! A request takes a slot that an earlier one has left on its thread, so that nothing is allocated, and no line of the cache is shared
//! by two threads. The list of all slots is touched only when there are too few.

use std::sync::{Arc, Mutex, Weak};

use crate::observe::metrics::histogram::Sharded;
use crate::observe::requests::facts::RequestFacts;
use crate::observe::requests::lock;
use crate::observe::requests::slot::{InFlightRequest, RequestSlot, SlotProgress};

/// How many slots each thread keeps for later requests of a route.
const MAX_FREE: usize = 256;

/// The requests of a route that have waited, and have not ended.
#[derive(Default)]
pub(in crate::observe) struct RequestRegister {
    free: Sharded<Mutex<Vec<Arc<RequestSlot>>>>,
    slots: Mutex<SlotList>,
}

#[derive(Default)]
struct SlotList {
    slots: Vec<Weak<RequestSlot>>,
    /// How many there are before those that are gone are looked for.
    enough: usize,
}

impl RequestRegister {
    /// Notes a request that waits for the first time.
    pub fn begin(&self, facts: RequestFacts) -> Arc<RequestSlot> {
        let slot = self.free.own().and_then(|free| lock(free).pop()).unwrap_or_else(|| self.add_slot());
        slot.enter(facts);
        slot
    }

    /// Takes a request out that has ended.
    pub fn end(&self, slot: Arc<RequestSlot>) -> SlotProgress {
        let progress = slot.leave();
        if let Some(mut free) = self.free.own().map(lock)
            && free.len() < MAX_FREE
        {
            free.push(slot);
        }
        progress
    }

    fn add_slot(&self) -> Arc<RequestSlot> {
        let (slot, mut list) = (Arc::<RequestSlot>::default(), lock(&self.slots));
        if list.slots.len() >= list.enough {
            list.slots.retain(|slot| slot.strong_count() > 0);
            list.enough = MAX_FREE.max(list.slots.len() * 2);
        }
        list.slots.push(Arc::downgrade(&slot));
        slot
    }

    fn slots(&self) -> Vec<Arc<RequestSlot>> {
        lock(&self.slots).slots.iter().filter_map(Weak::upgrade).collect()
    }

    /// The requests, of which the route is this one.
    pub fn list(&self, route: &str) -> Vec<InFlightRequest> {
        self.slots().iter().filter_map(|slot| slot.view(route)).collect()
    }

    /// Ends the request with this id. Returns whether there is one.
    pub fn cancel(&self, id: &str) -> bool {
        self.slots().iter().any(|slot| slot.cancel(id))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::{Context, Wake};
    use std::time::Duration;

    use http::Request;

    use crate::observe::request_id::RequestId;
    use crate::observe::requests::register::*;
    use crate::observe::requests::slot::{Phase, PhaseTimes};

    fn facts(number: u64) -> RequestFacts {
        let head = Request::get("/a/b?c").body(()).unwrap().into_parts().0;
        RequestFacts::new(RequestId::new(number), SocketAddr::from(([127, 0, 0, 1], 7)).into(), &head)
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn a_request_is_listed_until_its_end_with_its_phase() {
        let register = RequestRegister::default();
        let (first, second) = (register.begin(facts(1)), register.begin(facts(2)));
        second.set_phase(Phase::Queue);
        let list = register.list("/a/...");
        let [one, two] = &list[..] else { panic!("{list:?}") };
        assert_eq!((one.id.as_str(), one.phase), ("0000000000000001", Phase::Guest));
        assert_eq!((two.route.as_str(), two.client.as_str(), two.phase), ("/a/...", "127.0.0.1", Phase::Queue));
        assert_eq!((two.method.as_str(), two.target.as_str()), ("GET", "/a/b?c"));
        second.set_time(Phase::Queue, Duration::from_secs(1));
        assert_eq!(register.end(first).times, PhaseTimes::default());
        assert_eq!(register.list("/a/...").len(), 1);
        assert_eq!(register.end(second).times.queue, Duration::from_secs(1));
        assert!(register.list("/a/...").is_empty());
    }

    #[test]
    fn slots_are_used_again_and_those_of_a_crowd_are_given_back() {
        let register = RequestRegister::default();
        for number in 0..10_000 {
            register.end(register.begin(facts(number)));
        }
        assert_eq!(lock(&register.slots).slots.len(), 1);
        let crowd: Vec<_> = (0..2_000).map(|number| register.begin(facts(number))).collect();
        assert_eq!(register.list("").len(), 2_000);
        crowd.into_iter().for_each(|slot| _ = register.end(slot));
        assert_eq!(register.slots().len(), MAX_FREE);
    }

    #[test]
    fn a_request_that_waits_is_woken_to_end_and_the_next_in_its_slot_is_not() {
        let (register, woken) = (RequestRegister::default(), Arc::new(Woken::default()));
        let slot = register.begin(facts(1));
        let waker = woken.clone().into();
        let cx = Context::from_waker(&waker);
        assert!(slot.poll_cancelled(&cx, || None).is_pending());
        assert!(!register.cancel("0000000000000002"));
        assert!(!woken.0.load(Relaxed));
        assert!(register.cancel("0000000000000001"));
        assert!(woken.0.load(Relaxed) && slot.poll_cancelled(&cx, || None).is_ready());
        register.end(slot);
        assert!(!register.cancel("0000000000000001"));
        assert!(!register.begin(facts(3)).is_cancelled());
    }
}
