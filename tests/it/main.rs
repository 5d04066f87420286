//! The integration tests, in one binary. What each topic holds:

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test ends this way when it fails, and so do its helpers"
)]

mod admin; // the admin listener, and the commands that ask it
mod admin_page; // the page of the admin listener, in a browser
mod admin_requests; // requests in flight and failed ones, as the admin listener has them
mod azure; // the example that stores blobs, against the emulator of the storage
mod azure_cosmos; // the example that keeps documents, against an emulator and a fixture
mod azure_event_grid; // the example that takes and publishes events, against a fixture
mod behind_a_proxy; // the same requests directly and through nginx, Apache, HAProxy, Caddy and lighttpd
mod bindle; // bindles from a directory, served by a real process
mod bindle_server; // bindles from a server, and servers that do not play along
mod book; // the pages as a book
mod caches; // where caches are, second starts, what is listed and pruned
mod certificates; // several certificates, and clients that show theirs
mod cgi_command;
mod cgi_programs; // programs for CGI under wagi and under lighttpd
mod check_command; // checks of a configuration, a module and a machine
mod cli; // the program as it is started: options, exit codes, logs
mod command_line; // arguments: the default, a text, an array
mod compile_limits; // what compiling a module of a third party may take
mod complete; // when an answer is complete: its length, and standard output that is closed
mod component_languages; // components in C, Python, JavaScript and Rust, built from source
mod components; // components that are asked over wasi:http 0.2
mod components_3; // components of WASI 0.3
mod components_cli; // components that are run through wasi:cli
mod components_outbound; // components that call others
mod compression; // responses that are compressed, and those that are not
mod debugging; // what is kept of guests that trap or compute for long
mod departures; // a client that leaves
mod dev_command; // what a developer sees while sources change
mod docs; // commands of pages for users
mod embedding; // the code on the page about embedding
mod endings; // limits, and how a guest that reaches one ends
mod environment; // meta-variables as a guest reads them
mod features; // features of WebAssembly
mod file_loops; // what guests that use files without end cost the others, and files that hang
mod files; // volumes, and that nothing leads out of them
mod first_hour; // the page of the first hour goes as it says
mod fleet; // three replicas behind HAProxy, their registry, and what fails
mod forwarded; // requests that trusted proxies forward, and others
mod frozen; // every string that is promised to the letter
mod guides; // programs that docs show
mod hostile; // answers and requests meant to do harm
mod hosts; // entries for some hosts only
mod image; // the container image, its layout, and how it runs under Podman
mod import; // manifests of Spin, what they become, and that it runs
mod imports;
mod in_flight; // requests that go on, have failed, and are ended by an operator // what guests import and export, and what they get for it
mod inspect; // what is shown of a module
mod interpreters; // PHP, Python, Ruby and others: the same program in each language, and examples
mod kills; // processes that die while they fill the caches
mod kubernetes; // the files for clusters, against the program that runs there
mod languages; // programs in Rust, C, Go and AssemblyScript, built from source
mod links; // what pages link to
mod listeners; // several addresses, TLS beside plain ports, redirects
mod lock; // wagi.lock, and what --locked refuses
mod logs; // where lines of the log go, files that are moved away, outputs that are closed
mod manifests; // configuration files beside what is said about them
mod messages; // the commonest mistakes, and what is said of each
mod metrics; // what is counted, over reloads, and what Prometheus makes of it
mod neighbours; // what guests that compute, grow or wait cost the others
mod notes; // what the log says of things that a guest was refused
mod oci; // modules from registries, and registries that do not play along
mod outbound; // guests that call other servers
mod outbound_languages; // the same from Rust and AssemblyScript, built from source
mod own_addresses; // guests that call the server they run in
mod packaging; // the Debian package, units, completions
mod partial_start; // a start that compiles for long serves what is ready
mod preinitialized_components; // components whose initializers run once
mod production; // the complete configuration for a public server
mod proxy_protocol; // connections that begin with a PROXY header
mod readers; // clients that read slowly, and what they may hold
mod readme; // what newcomers are told
mod recipes; // the page of recipes, and what its commands print
mod reference; // names in tables of pages, and in the program
mod registry; // publishing and pulling with a real registry, and what others make of it
mod registry_login; // logins: where they are kept, identity tokens, the terminal
mod registry_policy; // when registries are asked
mod registry_push; // registries that do not play along when something is published
mod reload; // another configuration without an end of the server
mod request_ids; // ids of requests, and the ends of their connections
mod requests; // heads that are refused, and whose word counts about the host
mod responses; // what a guest prints, and what the client gets
mod routing; // which route answers, sub-routes
mod run_command; // one request without a server
mod sandbox; // volumes against guests that try to get out or to write
mod schema; // the JSON Schema of modules.toml
mod scratch_features; // scratch directories
mod scratch_leftovers; // guests that fill their scratch directories
mod scripts; // directories of scripts, which an interpreter runs
mod secrets; // variables from files and from the server, and who sees their values
mod shutdown; // signals, and what becomes of requests under way
mod signatures; // modules that need a signature, made by others
mod sockets; // Unix sockets, sockets that are inherited, and an end when idle
mod sqlite; // databases in volumes, and servers that are killed while guests write
mod startup; // initializers, and code compiled ahead of time
mod static_files; // files at routes, beside nginx and under attack
mod streaming; // bodies over real sockets, in both directions
mod supply_chain; // what the program is made of
mod support;
mod syncs; // what guests bring to the disk
mod templates; // what `wagi new` makes of its templates
mod terminal; // what reaches the terminal, and with which cure
mod tidy; // the walls between rooms, and other rules of the house
mod tls; // TLS, and HTTP/2 with and without it
mod traces; // traces, and collectors of them
mod uploads; // clients that send slowly, and what they may hold
mod waits;
mod warm_start;
mod web_servers; // clocks of guests that wait for their clients, or do not
