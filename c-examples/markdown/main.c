/* Lua's command, as small as a tool needs it: runs the script that is its first
 * argument and gives it the others in the table `arg`. LUA_PATH says where
 * libraries are.
 */
#include <stdio.h>

#include "lua.h"

#include "lauxlib.h"
#include "lualib.h"

static int traced(lua_State *lua) {
    const char *message = lua_tostring(lua, 1);
    luaL_traceback(lua, lua, message ? message : "an error that is no text", 1);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: lua SCRIPT [ARGS...]\n", stderr);
        return 2;
    }
    lua_State *lua = luaL_newstate();
    if (!lua) {
        fputs("lua: no memory for a state\n", stderr);
        return 1;
    }
    luaL_openlibs(lua);
    lua_createtable(lua, argc - 2, 1);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(lua, argv[i]);
        lua_rawseti(lua, -2, i - 1);
    }
    lua_setglobal(lua, "arg");
    lua_pushcfunction(lua, traced);
    int failed = luaL_loadfile(lua, argv[1]) != LUA_OK || lua_pcall(lua, 0, 0, 1) != LUA_OK;
    if (failed)
        fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
    lua_close(lua);
    return failed;
}
