//! How do requests end? The values of the log's field `end`, and of the label of the same name.

macro_rules! request_ends {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How a request ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RequestEnd {
            $($(#[$doc])* $name,)*
        }

        impl RequestEnd {
            /// All of them, in their order.
            pub(in crate::observe) const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// As the log has it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

request_ends! {
    /// The guest has responded.
    Ok = "ok",
    /// The client left, or took the response too slowly.
    ClientGone = "client-gone",
    /// The guest was stopped since the rest of its output is not sent.
    Stopped = "stopped",
    /// The request got no guest.
    None = "none",
    /// The guest exited with a code.
    Exit = "exit",
    /// The guest trapped.
    Trap = "trap",
    /// The guest gave no complete response.
    NotAnswered = "not-answered",
    /// The guest could not be started.
    NotStarted = "not-started",
    /// The guest reached a limit of time.
    Timeout = "timeout",
    /// The guest printed too much.
    OutputLimit = "output-limit",
    /// The guest printed no valid head.
    BadHead = "bad-head",
    /// The request body cannot be read.
    BadBody = "bad-body",
    /// There was no permit for the guest.
    Busy = "busy",
    /// The route leads to files.
    Static = "static",
    /// An operator has ended the request.
    Cancelled = "cancelled",
    /// The module of the route is still being compiled.
    Starting = "starting",
}

impl RequestEnd {
    /// Whether something went wrong, other than that the client left or asked for what is not there.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Ok | Self::ClientGone | Self::Stopped | Self::None | Self::Static => false,
            Self::Exit | Self::Trap | Self::NotAnswered | Self::NotStarted | Self::Timeout | Self::OutputLimit => true,
            Self::BadHead | Self::BadBody | Self::Busy | Self::Cancelled | Self::Starting => true,
        }
    }
}
