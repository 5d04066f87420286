//! Who resolves a name that many ask for at once?
//!
//! One for all of them: a thousand guests that call the same server need one answer, and the system's resolver takes a
//! thread for each. Whoever comes when the answer is there asks anew, so that nobody gets an old one. `dial` asks here.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OnceCell, Semaphore};

use crate::net::transport::Transport;

/// Names of one script that are being resolved at once. Each takes a thread, for as long as its servers are silent.
const AT_ONCE: usize = 8;

/// What all who wait for it get.
type Answer = OnceCell<Result<Vec<SocketAddr>, Arc<io::Error>>>;

/// The names of one script that are being resolved.
pub(crate) struct Lookups {
    internet: Arc<dyn Transport>,
    turns: Arc<Semaphore>,
    under_way: Mutex<HashMap<(String, u16), Weak<Answer>>>,
}

impl Lookups {
    pub fn new(internet: Arc<dyn Transport>) -> Self {
        Self { internet, turns: Arc::new(Semaphore::new(AT_ONCE)), under_way: Mutex::default() }
    }

    /// The addresses of a name. If whoever resolves it gives up, the next who waits goes on.
    pub async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<io::Error>> {
        let answer = self.shared(name, port);
        let found = answer.get_or_init(async || {
            let found = self.resolve(name, port).await.map_err(Arc::new);
            self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&(name.to_owned(), port));
            found
        });
        found.await.clone()
    }

    /// The answer that is under way, or one that nobody works on yet.
    fn shared(&self, name: &str, port: u16) -> Arc<Answer> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), port);
        if let Some(answer) = under_way.get(&key).and_then(Weak::upgrade) {
            return answer;
        }
        // Those for which nobody waits any more go, so that there are no more than calls.
        under_way.retain(|_, answer| answer.strong_count() > 0);
        let answer = Arc::new(Answer::new());
        under_way.insert(key, Arc::downgrade(&answer));
        answer
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let turn = self.turns.clone().acquire_owned().await.map_err(io::Error::other)?;
        self.internet.lookup(name.to_owned(), port, turn).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpStream;
    use tokio::sync::OwnedSemaphorePermit;
    use tokio::task::{JoinSet, yield_now};

    use crate::net::resolve::*;
    use crate::net::transport::Pending;

    /// Answers when it is let, and counts how often it was asked.
    struct Slow {
        gate: Arc<Semaphore>,
        asked: AtomicUsize,
    }

    impl Transport for Slow {
        fn lookup(&self, _: String, port: u16, _: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let gate = self.gate.clone();
            Box::pin(async move {
                gate.acquire().await.map_err(io::Error::other)?.forget();
                Ok(vec![SocketAddr::from(([93, 184, 216, asked as u8], port))])
            })
        }

        fn connect(&self, _: SocketAddr) -> Pending<TcpStream> {
            Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
        }
    }

    fn slow() -> (Arc<Slow>, Arc<Lookups>) {
        let slow = Arc::new(Slow { gate: Arc::new(Semaphore::new(0)), asked: AtomicUsize::new(0) });
        (slow.clone(), Arc::new(Lookups::new(slow)))
    }

    async fn ask(lookups: &Arc<Lookups>, many: usize) -> JoinSet<Vec<SocketAddr>> {
        let (mut asking, started) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..many {
            let (lookups, started) = (lookups.clone(), started.clone());
            asking.spawn(async move {
                started.fetch_add(1, Ordering::Relaxed);
                lookups.addresses("a.example", 80).await.expect("an answer")
            });
        }
        // There is one thread: who has started has gone as far as it gets.
        while started.load(Ordering::Relaxed) < many {
            yield_now().await;
        }
        asking
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_an_answer_and_who_comes_later_does_not() {
        let (slow, lookups) = slow();
        let asking = ask(&lookups, 1000).await;
        slow.gate.add_permits(1);
        let answers = asking.join_all().await;
        assert_eq!((answers.len(), slow.asked.load(Ordering::Relaxed)), (1000, 1));
        assert!(answers.iter().all(|answer| answer[0].to_string() == "93.184.216.0:80"));
        slow.gate.add_permits(1);
        assert_eq!(lookups.addresses("a.example", 80).await.expect("an answer")[0].to_string(), "93.184.216.1:80");
        assert!(lookups.under_way.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn others_go_on_when_the_first_gives_up() {
        let (slow, lookups) = slow();
        let mut first = ask(&lookups, 1).await;
        let others = ask(&lookups, 5).await;
        first.shutdown().await;
        slow.gate.add_permits(1);
        assert_eq!((others.join_all().await.len(), slow.asked.load(Ordering::Relaxed)), (5, 2));
    }
}
