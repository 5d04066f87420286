// Greets the name in the query.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
)

func greet(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "world"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Hello, %s!\n", name)
	fmt.Fprintf(w, "You asked for %s and sent %d bytes.\n", r.URL.Path, len(body))
	// Standard error goes to the log of the server.
	fmt.Fprintf(os.Stderr, "greeted %s\n", name)
}

func main() {
	if err := cgi.Serve(http.HandlerFunc(greet)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
