// Greets the name in the query.

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>

static std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value == nullptr ? "" : value;
}

int main() {
    const std::string body{std::istreambuf_iterator<char>(std::cin), {}};
    std::string name = "world";
    std::istringstream query(variable("QUERY_STRING"));
    for (std::string field; std::getline(query, field, '&');) {
        if (field.rfind("name=", 0) == 0) {
            name = field.substr(5);
        }
    }
    std::cout << "Content-Type: text/plain; charset=utf-8\n\n"
              << "Hello, " << name << "!\n"
              << "You asked for " << variable("PATH_INFO") << " and sent " << body.size() << " bytes.\n";
    // Standard error goes to the log of the server.
    std::cerr << "greeted " << name << '\n';
}
