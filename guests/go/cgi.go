// What does Go's package for CGI make of a request? Built twice, for wagi and for a server that starts native programs, so that
// a test can compare. The ServeMux redirects paths that it finds untidy, as those of real programs do.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
)

func show(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Query().Has("redirect") {
		http.Redirect(w, r, "elsewhere", http.StatusSeeOther)
		return
	}
	fmt.Fprintf(w, "%s %s %s\nhost %s tls %t\n%q\n", r.Method, r.URL, r.RequestURI, r.Host, r.TLS != nil, body)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", show)
	if err := cgi.Serve(mux); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
