/*
 * interceptor-init: makes the container that src/container/launch/index.ts planned, and is its PID 1. It formats no text,
 * takes no options and decides nothing; Node starts it with the descriptors that interceptor-init.h names.
 *
 *   interceptor-init launch
 *     outer (outer.c, stage.c)    stages the file system, watches Node, cleans up
 *       PID 1 (inner.c, init.c)   enters the container, reaps and forwards signals
 *         command (command.c)     installs the filter, waits for its supervisor, execve
 *   interceptor-init join         the same for a container that runs (join.c): a session in the place of PID 1
 *   interceptor-init userns ...   enters a user namespace and becomes Node again (userns.c)
 *   interceptor-init enter ...    the same for the user namespace of another supervisor
 *   interceptor-init lock PATH    locks the flags of a mount (lock.c)
 */
#include <string.h>
#include <unistd.h>

#include "interceptor-init.h"

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "userns") == 0)
		userns_run(argc, argv);
	if (argc == 3 && strcmp(argv[1], "lock") == 0)
		lock_run(argv[2]);
	if (argc > 2 && strcmp(argv[1], "enter") == 0)
		enter_run(argc, argv);
	if (argc != 2 || (strcmp(argv[1], "launch") != 0 && strcmp(argv[1], "join") != 0))
		return 125;
	outer_run(plan_map(PLAN_FD), strcmp(argv[1], "join") == 0);
}
