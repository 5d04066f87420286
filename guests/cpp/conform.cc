// The conformance program of all languages, in C++, with exceptions.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

using Fields = std::map<std::string, std::string>;

static std::string env(const char *name) {
    const char *value = std::getenv(name);
    return value == nullptr ? "" : value;
}

static char byte(const std::string &digits) {
    unsigned code;
    std::istringstream number(digits);
    if (digits.size() != 2 || !(number >> std::hex >> code)) {
        throw std::invalid_argument("not a byte: " + digits);
    }
    return static_cast<char>(code);
}

static std::string decoded(const std::string &text) {
    std::string bytes;
    for (std::size_t at = 0; at < text.size(); at++) {
        if (text[at] == '%') {
            bytes += byte(text.substr(at + 1, 2));
            at += 2;
        } else {
            bytes += text[at] == '+' ? ' ' : text[at];
        }
    }
    return bytes;
}

static Fields fields(const std::string &text, char separator) {
    Fields found;
    std::istringstream pairs(text);
    for (std::string pair; std::getline(pairs >> std::ws, pair, separator);) {
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos) {
            continue;
        }
        try {
            found[pair.substr(0, equals)] = decoded(pair.substr(equals + 1));
        } catch (const std::logic_error &) {
            found[pair.substr(0, equals)] = pair.substr(equals + 1);
        }
    }
    return found;
}

static std::string content(const char *path) {
    std::FILE *file = std::fopen(path, "r");
    if (file == nullptr) {
        throw std::runtime_error(std::string("there is no ") + path);
    }
    std::string read;
    for (int byte; (byte = std::getc(file)) != EOF;) {
        read += static_cast<char>(byte);
    }
    std::fclose(file);
    return read;
}

int main() {
    std::string body{std::istreambuf_iterator<char>(std::cin), {}};
    if (env("PATH_INFO") == "/binary") {
        std::reverse(body.begin(), body.end());
        std::cout << "Content-Type: application/octet-stream\n\n" << body;
        return 0;
    }
    try {
        throw std::runtime_error("to standard error");
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
    }
    Fields query = fields(env("QUERY_STRING"), '&'), form = fields(body, '&'), cookies = fields(env("HTTP_COOKIE"), ';');
    std::cout << "Status: 201\nContent-Type: text/plain; charset=utf-8\n"
              << "Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n"
              << "method: " << env("REQUEST_METHOD") << "\npath: " << env("PATH_INFO")
              << "\nquery: " << query["name"] << ' ' << query["n"] << "\nform: " << form["a"] << ' ' << form["b"]
              << "\ncookies: " << cookies["one"] << ' ' << cookies["two"] << "\nfile: " << content("/www/conform.txt");
}
