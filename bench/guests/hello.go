// What does a program in Go cost, whose runtime starts anew for each request? The same bytes as examples/hello.wat.
package main

import "os"

func main() {
	os.Stdout.WriteString("Content-Type: text/plain\n\nHello from WebAssembly\n")
}
