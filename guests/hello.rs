//! Does a Rust program see its path and its body?

use std::io::Read;

fn main() -> std::io::Result<()> {
    let path = std::env::var("PATH_INFO").unwrap_or_default();
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    println!("Content-Type: text/plain");
    println!();
    println!("You asked for {path} and sent {} bytes", body.len());
    Ok(())
}
