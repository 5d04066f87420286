// The conformance program of all languages, in Go.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"slices"
)

func cookie(r *http.Request, name string) string {
	if found, err := r.Cookie(name); err == nil {
		return found.Value
	}
	return ""
}

func conform(w http.ResponseWriter, r *http.Request) {
	path := os.Getenv("PATH_INFO")
	if path == "/binary" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		slices.Reverse(body)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(body)
		return
	}
	file, err := os.ReadFile("/www/conform.txt")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(os.Stderr, "to standard error")
	http.SetCookie(w, &http.Cookie{Name: "first", Value: "1", Path: "/"})
	http.SetCookie(w, &http.Cookie{Name: "second", Value: "2", Path: "/"})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "method: %s\npath: %s\n", r.Method, path)
	query := r.URL.Query()
	fmt.Fprintf(w, "query: %s %s\n", query.Get("name"), query.Get("n"))
	fmt.Fprintf(w, "form: %s %s\n", r.PostFormValue("a"), r.PostFormValue("b"))
	fmt.Fprintf(w, "cookies: %s %s\n", cookie(r, "one"), cookie(r, "two"))
	fmt.Fprintf(w, "file: %s", file)
}

func main() {
	if err := cgi.Serve(http.HandlerFunc(conform)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
