//! The conformance program of all languages, in Rust.

use std::env;
use std::io::{self, Read, Write};

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of a field, decoded.
fn value(fields: &str, name: &str, separator: char) -> String {
    let pairs = fields.split(separator).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(found, _)| *found == name).map(|(_, value)| decoded(value)).next().unwrap_or_default()
}

fn main() -> io::Result<()> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let mut out = io::stdout().lock();
    if variable("PATH_INFO") == "/binary" {
        body.reverse();
        out.write_all(b"Content-Type: application/octet-stream\n\n")?;
        out.write_all(&body)?;
        return out.flush();
    }
    eprintln!("to standard error");
    let (query, form, cookies) = (variable("QUERY_STRING"), String::from_utf8_lossy(&body), variable("HTTP_COOKIE"));
    writeln!(out, "Status: 201\nContent-Type: text/plain; charset=utf-8")?;
    writeln!(out, "Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n")?;
    writeln!(out, "method: {}\npath: {}", variable("REQUEST_METHOD"), variable("PATH_INFO"))?;
    writeln!(out, "query: {} {}", value(&query, "name", '&'), value(&query, "n", '&'))?;
    writeln!(out, "form: {} {}", value(&form, "a", '&'), value(&form, "b", '&'))?;
    writeln!(out, "cookies: {} {}", value(&cookies, "one", ';'), value(&cookies, "two", ';'))?;
    write!(out, "file: {}", std::fs::read_to_string("/www/conform.txt")?)?;
    out.flush()
}
