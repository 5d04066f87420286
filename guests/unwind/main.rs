//! Can a Rust program catch a panic?

use std::panic;

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        println!("dropped");
    }
}

fn main() {
    println!("Content-Type: text/plain\n");
    let caught = panic::catch_unwind(|| {
        let _guard = Guard;
        let query = std::env::var("QUERY_STRING").unwrap_or_default();
        query.parse::<u32>().expect("the query is a number")
    });
    match caught {
        Ok(number) => println!("the number {number}"),
        Err(_) => println!("caught"),
    }
}
