//! Which events are logged? The program that has set up the log says how that is changed.

/// Sets which events are logged, or says what it does not understand.
type SetEvents = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Changes which events are logged, in the words of `RUST_LOG`.
pub struct LogLevel {
    set: Box<SetEvents>,
    reset: Box<dyn Fn() + Send + Sync>,
}

impl LogLevel {
    /// A log that `set` changes, if it understands the words, and `reset` changes back.
    pub fn new(
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
        reset: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { set: Box::new(set), reset: Box::new(reset) }
    }

    pub(super) fn set(&self, words: &str) -> Result<(), String> {
        (self.set)(words)
    }

    pub(super) fn reset(&self) {
        (self.reset)();
    }
}
