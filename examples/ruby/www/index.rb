# A page with a form, by the CGI library and the templates of Ruby's standard library.
require "cgi"
require "erb"

PAGE = ERB.new(<<~HTML, trim_mode: "-")
  <!DOCTYPE html>
  <html lang="en">
  <meta charset="utf-8">
  <title>Ruby</title>
  <h1>Hello, <%= CGI.escapeHTML(name) %></h1>
  <form method="post" action="<%= CGI.escapeHTML(cgi.script_name) %>">
  <label>Name <input name="name" required></label>
  <button>Greet</button>
  </form>
  <p>Ruby <%= RUBY_VERSION %></p>
  </html>
HTML

# With `warm_start` each request begins here.
File.exist?("/.wagi/checkpoint")

cgi = CGI.new
name = cgi["name"].empty? ? "world" : cgi["name"]
cgi.out("type" => "text/html", "charset" => "UTF-8") { PAGE.result(binding) }
