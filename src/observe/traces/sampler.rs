//! Of which traces are the spans kept? `OTEL_TRACES_SAMPLER` says it.

use crate::observe::traces::context::{TraceContext, TraceId};

/// What decides whether the spans of a trace are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::observe) struct Sampler {
    /// Whether a decision that came with the request counts.
    pub obeys_parent: bool,
    pub rate: SampleRate,
}

/// How many of the traces are kept that begin here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::observe) enum SampleRate {
    All,
    None,
    /// This share of them, by their ids.
    Share(f64),
}

/// The default of OpenTelemetry: `parentbased_always_on`.
impl Default for Sampler {
    fn default() -> Self {
        Self { obeys_parent: true, rate: SampleRate::All }
    }
}

impl Sampler {
    /// Whether the spans of this trace are kept. `parent` is the context that the request came with.
    pub fn keeps(&self, trace: &TraceId, parent: Option<&TraceContext>) -> bool {
        match parent {
            Some(parent) if self.obeys_parent => parent.is_sampled(),
            _ => self.rate.keeps(trace),
        }
    }
}

impl SampleRate {
    fn keeps(self, trace: &TraceId) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            // The lower half of the id as a number, as other implementations compare it, so that they decide alike.
            Self::Share(share) => {
                let [.., a, b, c, d, e, f, g, h] = *trace;
                let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                number < (share * (1_u64 << 63) as f64) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::traces::sampler::*;

    #[test]
    fn a_parent_decides_if_the_sampler_obeys_it() {
        let parent = |is_sampled| TraceContext::root([1; 16], [1; 8]).sampled(is_sampled);
        for (obeys_parent, rate, sampled, keeps) in [
            (true, SampleRate::All, None, true),
            (true, SampleRate::All, Some(false), false),
            (true, SampleRate::None, Some(true), true),
            (true, SampleRate::None, None, false),
            (false, SampleRate::All, Some(false), true),
            (false, SampleRate::None, Some(true), false),
            (true, SampleRate::Share(0.0), Some(true), true),
            (false, SampleRate::Share(0.0), Some(true), false),
        ] {
            let sampler = Sampler { obeys_parent, rate };
            let parent = sampled.map(parent);
            assert_eq!(sampler.keeps(&[1; 16], parent.as_ref()), keeps, "{sampler:?} {parent:?}");
        }
    }

    #[test]
    fn a_share_is_kept_by_the_lower_half_of_the_id() {
        let trace = |lower: u64| {
            let mut trace = [0xff; 16];
            trace[8..].copy_from_slice(&lower.to_be_bytes());
            trace
        };
        let half = SampleRate::Share(0.5);
        for (lower, keeps) in [(0, true), (u64::MAX / 2, true), (u64::MAX / 2 + 2, false), (u64::MAX, false)] {
            assert_eq!(half.keeps(&trace(lower)), keeps, "{lower:x}");
        }
        assert!(SampleRate::Share(1.0).keeps(&trace(u64::MAX / 2)));
        assert!(!SampleRate::Share(0.0).keeps(&trace(0)));
    }
}
