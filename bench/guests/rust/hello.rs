//! What does a program in Rust cost? The same bytes as examples/hello.wat.

fn main() {
    print!("Content-Type: text/plain\n\nHello from WebAssembly\n");
}
