//! Greets the name in the query.

use std::env;
use std::io::{self, Read};

fn main() -> io::Result<()> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let query = env::var("QUERY_STRING").unwrap_or_default();
    let name = query.split('&').find_map(|field| field.strip_prefix("name=")).unwrap_or("world");
    println!("Content-Type: text/plain; charset=utf-8\n");
    println!("Hello, {name}!");
    println!("You asked for {} and sent {} bytes.", env::var("PATH_INFO").unwrap_or_default(), body.len());
    // Standard error goes to the log of the server.
    eprintln!("greeted {name}");
    Ok(())
}
