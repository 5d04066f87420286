//! How is a connection of a web server served, over FastCGI or SCGI?
//!
//! `translator` turns what comes into HTTP/1.1, and the response back; `io` reads and writes it. So the HTTP library and `driver` serve
//! the connection with the same limits and timeouts as any other. `facts` adds what the web server says of its client.

pub(in crate::server) mod facts;
pub(in crate::server) mod io;
mod translator;
