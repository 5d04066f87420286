//! What does a program in Rust cost? It says the same as examples/hello.wat, and the benchmark asks for it.

fn main() {
    print!("Content-Type: text/plain\n\nHello from WebAssembly\n");
}
