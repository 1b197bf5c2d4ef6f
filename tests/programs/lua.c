/* Lua's interpreter: runs the scripts that it is given, one after the other,
 * each in a state of its own.
 */
#include "lua.h"

#include "lauxlib.h"
#include "lualib.h"
#include "tree.h"

static int traced(lua_State *lua) {
    luaL_traceback(lua, lua, lua_tostring(lua, 1), 1);
    return 1;
}

static int run(const char *script) {
    lua_State *lua = luaL_newstate();
    if (!lua) {
        fputs("lua: no memory for a state\n", stderr);
        return 1;
    }
    luaL_openlibs(lua);
    lua_pushcfunction(lua, traced);
    int failed = luaL_loadfile(lua, script) != LUA_OK || lua_pcall(lua, 0, 0, 1) != LUA_OK;
    if (failed)
        fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
    lua_close(lua);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed += run(argv[i]);
    dump_tree();
    return failed;
}
