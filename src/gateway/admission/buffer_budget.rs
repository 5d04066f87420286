//! How much memory may collected bodies take, those that are complete before their guest starts?

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::client_shares::{ClientShares, Share};
use crate::gateway::failure::Failure;

/// What all collected bodies together may take: a limit per body alone would let many clients fill the memory. One client may
/// take half of it.
const BUDGET: usize = 256 << 20;

/// A budget in bytes that all collected bodies share.
pub(in crate::gateway) struct BufferBudget {
    total: Arc<Semaphore>,
    clients: Arc<ClientShares>,
}

/// The part of the budget that one body takes, until dropped.
pub(in crate::gateway) struct Reservation {
    total: Arc<Semaphore>,
    bytes: Option<OwnedSemaphorePermit>,
    client: Option<Share>,
}

impl BufferBudget {
    /// A budget of 256 MiB.
    pub fn new() -> Self {
        Self { total: Arc::new(Semaphore::new(BUDGET)), clients: ClientShares::new(BUDGET / 2) }
    }

    /// An empty reservation for a body of this client.
    pub fn reservation(&self, client: Option<ClientAddress>) -> Reservation {
        let client = client.map(|client| self.clients.share(client));
        Reservation { total: self.total.clone(), bytes: None, client }
    }
}

impl Reservation {
    /// Reserves more bytes, or fails at once. It does not wait: a waiting request would keep bytes that other requests wait for.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        if self.client.as_mut().is_some_and(|client| !client.grow(bytes)) {
            return Err(Failure::BodyBuffersFull);
        }
        let bytes = u32::try_from(bytes).map_err(|_| Failure::BodyBuffersFull)?;
        let more = self.total.clone().try_acquire_many_owned(bytes).map_err(|_| Failure::BodyBuffersFull)?;
        match &mut self.bytes {
            Some(bytes) => bytes.merge(more),
            None => self.bytes = Some(more),
        }
        Ok(())
    }
}
