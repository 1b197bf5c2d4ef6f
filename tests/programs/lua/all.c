/* Lua 5.4 as one unit, without its command. The sources are fetched; what they
 * leave out for WASI (os.tmpname, io.tmpfile) is in again, because it works
 * where there is a writable /tmp.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A new file in /tmp, its name in `name`. */
static FILE *new_file(char name[32]) {
    static unsigned number;
    for (;;) {
        snprintf(name, 32, "/tmp/lua_%06u", ++number);
        FILE *file = fopen(name, "w+x");
        if (file || errno != EEXIST)
            return file;
    }
}

static FILE *nameless_file(void) {
    char name[32];
    FILE *file = new_file(name);
    if (file)
        remove(name);
    return file;
}

static int new_name(char name[32]) {
    FILE *file = new_file(name);
    return file ? fclose(file) : -1;
}

#undef __wasi__
#define tmpfile nameless_file
#define LUA_TMPNAMBUFSIZE 32
#define lua_tmpnam(name, failed) ((failed) = new_name(name) != 0)
/* Positions behind 2 GiB. */
#define l_fseek fseeko
#define l_ftell ftello
#define l_seeknum off_t
/* As Lua itself has it for WASI. */
#define l_system(command) ((command) == NULL ? 0 : -1)

#define LUA_CORE
#define LUA_LIB
#include "lprefix.h"

#include "lapi.c"
#include "lcode.c"
#include "lctype.c"
#include "ldebug.c"
#include "ldo.c"
#include "ldump.c"
#include "lfunc.c"
#include "lgc.c"
#include "llex.c"
#include "lmem.c"
#include "lobject.c"
#include "lopcodes.c"
#include "lparser.c"
#include "lstate.c"
#include "lstring.c"
#include "ltable.c"
#include "ltm.c"
#include "lundump.c"
#include "lvm.c"
#include "lzio.c"

#include "lauxlib.c"

#include "lbaselib.c"
#include "lcorolib.c"
#include "ldblib.c"
#include "linit.c"
#include "liolib.c"
#include "lmathlib.c"
#include "loadlib.c"
#include "loslib.c"
#include "lstrlib.c"
#include "ltablib.c"
#include "lutf8lib.c"
