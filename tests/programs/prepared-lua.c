/* Lua with a library of scripts: runs /lib/init.lua, which loads them, comes to a
 * checkpoint, and runs the script that the run names.
 */
#include "lua.h"

#include "lauxlib.h"
#include "lualib.h"

#include <stdio.h>

#include "../../libvfs/guest/include/monaka.h"

static int run(lua_State *lua, const char *script) {
    if (luaL_dofile(lua, script) == LUA_OK)
        return 0;
    fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
    return 1;
}

int main(int argc, char **argv) {
    lua_State *lua = luaL_newstate();
    if (!lua)
        return 1;
    luaL_openlibs(lua);
    if (run(lua, "/lib/init.lua"))
        return 1;
    fflush(stdout);
    monaka_checkpoint();
    if (monaka_refresh_args(&argc, &argv) != 0 || argc != 2)
        return 2;
    /* The state is not closed: it ends with the program. */
    return run(lua, argv[1]);
}
