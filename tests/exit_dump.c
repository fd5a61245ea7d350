/*
 * exit_dump.c - lets what a forked process ran be counted (make coverage)
 *
 * gcov writes its counters in exit(3), and most processes of these tests end
 * by _exit(2): a forked one mustn't write its parent's buffers once more. Here
 * _exit writes the counters first. It is linked into the programs of the
 * coverage build only (-Wl,--wrap=_exit); nothing of the lab knows of it. Who
 * is killed still takes its counters along.
 */
#include <stdatomic.h>
#include <unistd.h>

void __gcov_dump(void); /* of libgcov; declared nowhere else */

_Noreturn void __real__exit(int code);
_Noreturn void __wrap__exit(int code);

void __wrap__exit(int code)
{
    static atomic_flag dumped = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&dumped)) /* two threads may be leaving */
        __gcov_dump();
    __real__exit(code);
}
