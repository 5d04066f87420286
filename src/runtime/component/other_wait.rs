//! What does a guest of WASI 0.3 wait for besides its client?
//!
//! The tasks of such a guest go on while a read of its request body is pending. Only the host functions can tell what it waits
//! for: each that waits says so with an [`OtherWait`].

use std::sync::Arc;

use crate::runtime::instance::stdio::Pipes;

/// Something that a guest waits for besides its client, until dropped.
pub(in crate::runtime::component) struct OtherWait(Arc<Pipes>);

impl OtherWait {
    /// Begins such a wait. `None` for a guest whose request has no body.
    pub fn begin(pipes: &Arc<Pipes>) -> Option<Self> {
        pipes.has_request_body.then(|| {
            pipes.stdin().wait.add_other();
            Self(pipes.clone())
        })
    }
}

impl Drop for OtherWait {
    fn drop(&mut self) {
        self.0.stdin().wait.remove_other();
    }
}
