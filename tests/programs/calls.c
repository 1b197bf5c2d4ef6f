/* Nothing but the library: linked with every call exported, see
 * tests/src/toolbox.rs. Whoever runs it makes the calls.
 */
#include <stdlib.h>

/* The library takes its memory from here. */
void *take(size_t size) {
    return malloc(size);
}
