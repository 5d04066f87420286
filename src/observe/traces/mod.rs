//! Which requests are traced, and where do their spans go?
//!
//! [`TraceSettings`] come from the variables of OpenTelemetry. A [`Tracer`] gives each request a [`RequestTrace`], which makes the
//! spans; they leave through a queue that never holds up a request.
//!
//! | file | question |
//! | --- | --- |
//! | `settings` | which traces are kept, and where do they go? |
//! | `variables` | how is one variable read? |
//! | `context` | what do `traceparent` and `tracestate` say? |
//! | `sampler` | of which traces are the spans kept? |
//! | `request` | which spans has a request? |
//! | `calls` | which spans have the calls of its guest? |
//! | `span` | what is told of a span? |
//! | `queue` | how do spans leave the process? |
//! | `collector` | how are they sent, and what if they are not taken? |
//! | `otlp` | how are they written? |

mod calls;
mod collector;
mod context;
mod otlp;
mod queue;
mod request;
mod sampler;
mod settings;
mod span;
mod variables;

use std::sync::{Arc, OnceLock};

use http::request::Parts;

pub(in crate::observe) use crate::observe::traces::request::TracedRequest;
pub(crate) use crate::observe::traces::request::{RequestStep, RequestTrace, StepSpan};
pub use crate::observe::traces::settings::TraceSettings;

use crate::observe::traces::collector::Collector;
use crate::observe::traces::context::TraceContext;
use crate::observe::traces::queue::SpanQueue;
use crate::observe::traces::request::{GuestSpan, head_attributes, new_span_id};
use crate::observe::traces::sampler::Sampler;
use crate::observe::traces::settings::Propagation;
use crate::observe::traces::span::SpanClock;

/// Makes traces of requests.
pub struct Tracer {
    queue: SpanQueue,
    sampler: Sampler,
    propagation: Propagation,
}

impl Tracer {
    /// Starts to send spans. Must be called within a tokio runtime. `None` if that cannot be set up, which the log says.
    pub fn start(settings: &TraceSettings) -> Option<Arc<Self>> {
        let collector = Collector::new(settings).inspect_err(|error| {
            tracing::warn!(%error, "no traces are sent: the connection to the collector cannot be set up");
        });
        let queue = SpanQueue::start(collector.ok()?, settings.queue);
        Some(Arc::new(Self { queue, sampler: settings.sampler, propagation: settings.propagation }))
    }

    /// Begins the trace of a request, or goes on with the one that its head names. From now on the head names the span of the
    /// request, so that its guest goes on with that.
    pub(crate) fn begin(&self, head: &mut Parts, scheme: &'static str) -> Option<Arc<RequestTrace>> {
        let clock = SpanClock::now();
        let parent = match self.propagation {
            Propagation::TraceContext => TraceContext::from_headers(&head.headers),
            Propagation::None => None,
        };
        let (span, guest) = (new_span_id()?, new_span_id()?);
        let context = match &parent {
            Some(parent) => parent.with_span(span),
            None => TraceContext::root(new_trace_id()?, span),
        };
        let is_sampled = self.sampler.keeps(&context.trace, parent.as_ref());
        let context = context.sampled(is_sampled);
        let attributes = if is_sampled { head_attributes(head, scheme) } else { Vec::new() };
        if self.propagation == Propagation::TraceContext {
            context.write(&mut head.headers);
        }
        Some(Arc::new(RequestTrace {
            queue: self.queue.clone(),
            context,
            parent: parent.map(|parent| parent.span),
            guest: GuestSpan { id: guest, began: OnceLock::new() },
            propagation: self.propagation,
            clock,
            attributes,
        }))
    }

    /// Waits until the spans that are there are sent, but not for long.
    pub async fn flush(&self) {
        self.queue.flush().await;
    }
}

fn new_trace_id() -> Option<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).ok()?;
    (id != [0; 16]).then_some(id)
}
