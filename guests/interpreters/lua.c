// Lua as a program: runs the script that its second argument names.
#include <stdio.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

// WASI has neither processes nor temporary files. Lua's libraries name both.
int system(const char *command) { return command == NULL ? 0 : -1; }
FILE *tmpfile(void) { return NULL; }

int main(int count, char **arguments) {
    if (count < 2) {
        fputs("lua: no script\n", stderr);
        return 1;
    }
    lua_State *state = luaL_newstate();
    luaL_openlibs(state);
    if (luaL_dofile(state, arguments[1]) != LUA_OK) {
        fprintf(stderr, "lua: %s\n", lua_tostring(state, -1));
        return 1;
    }
    lua_close(state);
    return 0;
}
