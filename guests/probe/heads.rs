//! Which header blocks does a well-behaved program print?
//!
//! The ill-behaved ones come from `/raw`, which prints whatever it is sent.

use crate::{answer, request::Request};
use std::io::{self, Write};

/// Two cookies, which have to stay two header lines.
pub fn cookies(_: &Request) -> io::Result<()> {
    let head = "Content-Type: text/plain\nSet-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n";
    answer::stdout().write_all(format!("{head}two cookies\n").as_bytes())
}

/// Nothing but a Location, with the query as it was sent.
pub fn redirect(request: &Request) -> io::Result<()> {
    answer::stdout().write_all(format!("Location: {}\n\n", request.query).as_bytes())
}

/// A status of the client's choice.
pub fn status(request: &Request) -> io::Result<()> {
    let code = &request.query;
    answer::stdout().write_all(format!("Status: {code}\nContent-Type: text/plain\n\nstatus {code}\n").as_bytes())
}
