//! What do people learn of a response that is no success? Called by the parent.

use wagi::Gateway;
use wagi::printable;

use crate::cli::commands::run::response::ReceivedResponse;
use crate::cli::commands::run::run_log::FinishedRequest;
use crate::cli::terminal::print_message;

/// The routes that a message lists.
const MAX_ROUTES: usize = 8;

/// How the log says that a request got no guest.
const NO_GUEST: &str = "none";

/// What is said of a response on standard error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResponseRemark {
    is_failure: bool,
    message: Option<String>,
    /// Where the program of the response is from.
    place: Option<String>,
    help: Option<String>,
}

impl ResponseRemark {
    /// What is said of this response, whose log line is `finished`.
    pub fn of(received: &ReceivedResponse, finished: &FinishedRequest, gateway: &Gateway) -> Self {
        let status = received.status;
        let reason = finished.reason.as_deref();
        if received.is_success() {
            return Self { message: reason.map(|reason| format!("note: {reason}")), ..Self::default() };
        }
        let what = match (&received.cut, reason) {
            (Some(cut), reason) => format!("the response is cut: {}", reason.unwrap_or(cut)),
            (None, Some(reason)) => format!("{status}: {reason}"),
            (None, None) => format!("the status is {status}"),
        };
        let is_unrouted = finished.end == NO_GUEST && status == http::StatusCode::NOT_FOUND;
        Self {
            is_failure: true,
            message: Some(format!("error: {what}")),
            place: place(finished),
            help: (is_unrouted && finished.route.is_none()).then(|| routes(gateway)),
        }
    }

    pub fn is_success(&self) -> bool {
        !self.is_failure
    }

    pub fn print(&self) {
        for line in [&self.message, &self.place, &self.help].into_iter().flatten() {
            print_message(format_args!("{}", printable::one_line(line)));
        }
    }
}

/// The module, as the configuration names it, and its route.
fn place(finished: &FinishedRequest) -> Option<String> {
    let (module, route) = (finished.module.as_ref()?, finished.route.as_ref()?);
    Some(format!("  --> {module}, at the route {route}"))
}

fn routes(gateway: &Gateway) -> String {
    let served = gateway.routes();
    let mut shown: Vec<String> = served
        .iter()
        .filter(|route| route.module.is_some() || route.files.is_some())
        .map(|route| format!("`{}`", route.pattern))
        .collect();
    if shown.len() > MAX_ROUTES {
        let more = shown.len() - MAX_ROUTES;
        shown.truncate(MAX_ROUTES);
        shown.push(format!("and {more} more"));
    }
    format!("help: the routes are {}", shown.join(", "))
}
