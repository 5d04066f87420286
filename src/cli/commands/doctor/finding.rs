//! What was found, and what cures it?

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FindingState {
    /// As it should be.
    Good,
    /// A server runs without it; something else may not work.
    Missing,
    /// A server does not start, or not as it should.
    Bad,
}

impl FindingState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Missing => "missing",
            Self::Bad => "bad",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub topic: &'static str,
    pub state: FindingState,
    pub what: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Finding {
    pub fn good(topic: &'static str, what: impl Into<String>) -> Self {
        Self { topic, state: FindingState::Good, what: what.into(), cure: None }
    }

    pub fn missing(topic: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { topic, state: FindingState::Missing, what: what.into(), cure: Some(cure.into()) }
    }

    pub fn bad(topic: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { topic, state: FindingState::Bad, what: what.into(), cure: Some(cure.into()) }
    }
}
