//! The integration tests, in one binary. What each topic holds:

mod bindle; // bindles from a directory, served by a real process
mod bindle_server; // bindles from a server, and servers that do not play along
mod cli; // the program as it is started: options, exit codes, logs
mod command_line; // arguments: the default and the template
mod departures; // a client that leaves
mod endings; // limits, and how a guest that reaches one ends
mod environment; // meta-variables as a guest reads them
mod files; // volumes, and that nothing leads out of them
mod hostile; // answers and requests meant to do harm
mod imports; // what guests import and export, and what they get for it
mod languages; // programs in Rust, C and Go, built from source
mod manifests; // configuration files beside what is said about them
mod neighbours; // what guests that compute, grow or wait cost the others
mod oci; // modules from registries, and registries that do not play along
mod outbound; // guests that call other servers
mod readme; // what newcomers are told
mod responses; // what a guest prints, and what the client gets
mod routing; // which route answers, sub-routes
mod shutdown; // signals, and what becomes of requests under way
mod startup; // initialisers, and code compiled ahead of time
mod streaming; // bodies over real sockets, in both directions
mod support;
mod tidy; // the walls between rooms, and other rules of the house
mod tls; // TLS, and HTTP/2 with and without it
