/* table: the handlers of the server under test, in place of server/handlers/table.c: all of
 * those, and `test`. */
#include "server/handlers/kinds.h"
#include "tests/handlers/test.h"

const struct handler_kind *const handler_kinds[] = {
    &handler_hello, &handler_echo, &handler_plugin, &handler_nats, &handler_program,
    &handler_test,  NULL};
