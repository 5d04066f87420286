# The conformance program of all languages, in Ruby.
require "cgi"

$stdin.binmode
$stdout.binmode
body = $stdin.read(ENV["CONTENT_LENGTH"].to_i) || ""
if ENV["PATH_INFO"] == "/binary"
  print "Content-Type: application/octet-stream\n\n", body.reverse
  exit
end
query, form = CGI.parse(ENV["QUERY_STRING"]), CGI.parse(body)
cookies = CGI::Cookie.parse(ENV["HTTP_COOKIE"])
warn "to standard error"
print "Status: 201\nContent-Type: text/plain; charset=utf-8\n"
print "Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n"
print "method: #{ENV["REQUEST_METHOD"]}\n"
print "path: #{ENV["PATH_INFO"]}\n"
print "query: #{query["name"].first} #{query["n"].first}\n"
print "form: #{form["a"].first} #{form["b"].first}\n"
print "cookies: #{cookies["one"].first} #{cookies["two"].first}\n"
print "file: #{File.read(File.join(__dir__, "conform.txt"))}"
