-- The conformance program of all languages, in Lua.
local function env(name)
  return os.getenv(name) or ""
end

local function decoded(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

local function fields(text, pattern, decode)
  local found = {}
  for name, value in text:gmatch(pattern) do
    found[name] = decode(value)
  end
  return setmetatable(found, { __index = function() return "" end })
end

local body = io.read(tonumber(env("CONTENT_LENGTH"))) or ""
if env("PATH_INFO") == "/binary" then
  io.write("Content-Type: application/octet-stream\n\n", body:reverse())
  return
end
local query = fields(env("QUERY_STRING"), "([^&=]+)=([^&]*)", decoded)
local form = fields(body, "([^&=]+)=([^&]*)", decoded)
local cookies = fields(env("HTTP_COOKIE"), "([^; =]+)=([^;]*)", tostring)
-- An error that is caught, as libraries have them.
local _, message = pcall(error, "to standard error", 0)
io.stderr:write(message, "\n")
local name = env("SCRIPT_FILENAME"):gsub("[^/]*$", "conform.txt")
local file = assert(io.open(name))
io.write("Status: 201\nContent-Type: text/plain; charset=utf-8\n")
io.write("Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n")
io.write("method: ", env("REQUEST_METHOD"), "\n")
io.write("path: ", env("PATH_INFO"), "\n")
io.write("query: ", query.name, " ", query.n, "\n")
io.write("form: ", form.a, " ", form.b, "\n")
io.write("cookies: ", cookies.one, " ", cookies.two, "\n")
io.write("file: ", file:read("a"))
