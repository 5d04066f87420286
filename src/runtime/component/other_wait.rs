//! What does a guest of WASI 0.3 wait for at the same time as for its client?
//!
//! The tasks of such a guest go on while a read of its request body is pending. Only the host functions know what it waits
//! for: each function that waits holds an [`OtherWait`].

use std::sync::Arc;

use crate::runtime::instance::stdio::Stdio;

/// Something that a guest waits for besides its client, until dropped.
pub(in crate::runtime::component) struct OtherWait(Arc<Stdio>);

impl OtherWait {
    /// Begins such a wait. `None` for a guest whose request has no body.
    pub fn begin(stdio: &Arc<Stdio>) -> Option<Self> {
        stdio.has_request_body.then(|| {
            stdio.stdin().wait.add_other();
            Self(stdio.clone())
        })
    }
}

impl Drop for OtherWait {
    fn drop(&mut self) {
        self.0.stdin().wait.remove_other();
    }
}
