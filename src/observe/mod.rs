//! What does the operator see of a running server?
//!
//! One line per request, what guests print on stderr, and the server's own events. All of it goes through [`LogWriter`],
//! which never blocks. The lines of requests may have a file of their own.

mod access;
mod access_file;
mod appended_file;
mod escape;
mod event;
mod line;
mod log_writer;
mod metrics;
mod request_id;
mod requests;
mod stderr_log;
mod time;
mod traces;
mod warning_interval;

pub use crate::format::sha256_hex;
pub use crate::observe::access::{AccessLog, Record, RouteName};
pub use crate::observe::event::JsonEvents;
pub use crate::observe::log_writer::LogWriter;
pub(crate) use crate::observe::metrics::{Gauges, ListenerGauges, Metrics, ModuleLabels, ReloadResult, RouteCounters};
pub use crate::observe::metrics::{MetricsFormat, RequestEnd, RouteFigures};
pub use crate::observe::request_id::RequestId;
pub use crate::observe::requests::explanation::{Explanation, explain};
pub use crate::observe::requests::failures::FailedRequest;
pub use crate::observe::requests::profiles::KeptProfile;
pub(crate) use crate::observe::requests::profiles::{ProfileLog, RouteProfiles};
pub(crate) use crate::observe::requests::registration::Registration;
pub(crate) use crate::observe::requests::slot::RequestSlot;
pub use crate::observe::requests::slot::{InFlightRequest, Phase, PhaseTimes};
pub use crate::observe::stderr_log::{GuestLog, LogDirectory, LogFile};
pub(crate) use crate::observe::traces::{RequestStep, RequestTrace, StepSpan};
pub use crate::observe::traces::{TraceSettings, Tracer};
