/*
 * interceptor-init userns MARKER NEWUIDMAP NEWGIDMAP UID_MAP GID_MAP ONE_UID ONE_GID PROGRAM ARGUMENT...
 *
 * Enters a user namespace of the caller's own and becomes PROGRAM there: how an ordinary user's supervisor gets to be
 * root of something. It stays the same process, so signals, the terminal and the parent's wait(2) notice nothing.
 *
 * The maps (text of /proc/PID/uid_map) are written from outside, by a child that stays in the old namespace: with
 * newuidmap(1) and newgidmap(1) where these are named, itself where they are "-" (it needs CAP_SETUID then). Where that
 * fails, or UID_MAP is empty, one id is mapped, which needs nobody's help. MARKER is a variable of the environment to
 * which the outcome is appended as STAGE:ERRNO:HELPER; also after a failure PROGRAM is executed, which has the words.
 *
 * interceptor-init enter MARKER PIDFD PROGRAM ARGUMENT...
 *
 * Likewise, into the user namespace of a process: the supervisor of a container that exec is to join.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interceptor-init.h"
#include "kernel.h"

enum { MARKER = 2, NEWUIDMAP, NEWGIDMAP, UID_MAP, GID_MAP, ONE_UID, ONE_GID, PROGRAM, ARGUMENTS };
enum { WORDS_MAX = 3 * 340 + 3, MARKER_MAX = 256 };

extern char **environ;

/* In step with STAGES in src/container/userns/reexecute.ts. */
enum outcome_stage { OUTCOME_ENTERED, OUTCOME_UNSHARE, OUTCOME_UID_MAP, OUTCOME_GID_MAP, OUTCOME_JOIN };

struct outcome {
	enum outcome_stage stage;
	int error;
	unsigned int helpers; /* bit 0: the uid map could not be had, bit 1: the gid map */
};

static int write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const size_t length = strlen(text);
	ssize_t written;
	int error;

	if (fd < 0)
		return -1;
	/* The kernel takes a map in one write. */
	written = write(fd, text, length);
	error = errno;
	close(fd);
	errno = error;
	return written == (ssize_t)length ? 0 : -1;
}

/* With nothing of the environment, and nothing on standard error: why it failed is looked for afterwards. */
static _Noreturn void become_helper(char *program, char *pid, char *map)
{
	char *words[WORDS_MAX] = { program, pid };
	char *empty[] = { NULL };
	char *rest = NULL;
	unsigned int count = 2;
	const int null = open("/dev/null", O_RDWR);

	for (char *word = strtok_r(map, " \n", &rest); word && count < WORDS_MAX - 1; word = strtok_r(NULL, " \n", &rest))
		words[count++] = word;
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(126);
	execve(program, words, empty);
	_exit(127);
}

static bool map_ids(char *helper, pid_t target, const char *file, char *map)
{
	char text[64];
	int status;
	pid_t pid;

	if (strcmp(helper, "-") == 0) {
		(void)snprintf(text, sizeof(text), "/proc/%d/%s", target, file);
		return write_file(text, map) == 0;
	}
	(void)snprintf(text, sizeof(text), "%d", target);
	pid = fork();
	if (pid == 0)
		become_helper(helper, text, map);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In the namespace that PROGRAM came from. Ends with what could not be mapped, or by itself when its parent is gone. */
static _Noreturn void write_maps(int parent, char **argv)
{
	const pid_t target = getppid();
	int failed = 0;
	char go;

	if (read(parent, &go, 1) != 1)
		_exit(3);
	if (!map_ids(argv[NEWUIDMAP], target, "uid_map", argv[UID_MAP]))
		_exit(3);
	if (!map_ids(argv[NEWGIDMAP], target, "gid_map", argv[GID_MAP]))
		failed = 2;
	_exit(failed);
}

static unsigned int wait_for_maps(pid_t child, int socket)
{
	int status;

	if (write(socket, "", 1) != 1)
		return 3;
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return 3;
	}
	return WIFEXITED(status) ? (unsigned int)WEXITSTATUS(status) & 3 : 3;
}

static struct outcome enter(char **argv)
{
	struct outcome outcome = { 0 };
	const bool has_map = argv[UID_MAP][0] != '\0';
	int pair[2] = { -1, -1 };
	pid_t child = -1;

	if (has_map && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0)
		child = fork();
	if (child == 0) {
		close(pair[0]);
		write_maps(pair[1], argv);
	}
	close(pair[1]);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		outcome = (struct outcome){ .stage = OUTCOME_UNSHARE, .error = errno };
		close(pair[0]);
		if (child > 0)
			(void)waitpid(child, NULL, 0);
		return outcome;
	}
	outcome.helpers = child > 0 ? wait_for_maps(child, pair[0]) : 3;
	close(pair[0]);
	if (outcome.helpers & 1 && write_file("/proc/self/uid_map", argv[ONE_UID]) < 0)
		return (struct outcome){ OUTCOME_UID_MAP, errno, outcome.helpers };
	/* Without CAP_SETGID outside, setgroups(2) must be given up first (user_namespaces(7)). */
	if (outcome.helpers & 2 && (write_file("/proc/self/setgroups", "deny") < 0 ||
				    write_file("/proc/self/gid_map", argv[ONE_GID]) < 0))
		return (struct outcome){ OUTCOME_GID_MAP, errno, outcome.helpers };
	return outcome;
}

/*
 * The container's root may be the owner of this program, and can have it executed inside: by a script, or a link, to
 * /proc/self/exe in the place of a command that we start there. From /proc/PID/exe it could then change the host's
 * file, so that it is executed from a mount that can't be written.
 */
static int protect_self(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char path[4096];
	const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int tree;
	int result;

	if (length < 0)
		return -1;
	path[length] = '\0';
	tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -1;
	result = sys_mount_setattr(tree, 0, &attr);
	if (result == 0)
		result = sys_move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
	close(tree);
	return result;
}

static _Noreturn void become_program(const char *prefix, struct outcome outcome, char **words)
{
	static const char sorry[] = "interceptor: cannot execute itself in its user namespace\n";
	static char marker[MARKER_MAX];

	(void)snprintf(marker, sizeof(marker), "%s%d:%d:%u", prefix, outcome.stage, outcome.error, outcome.helpers);
	if ((outcome.error != 0 || protect_self() == 0) && putenv(marker) == 0)
		execve(words[0], words + 1, environ);
	(void)!write(2, sorry, sizeof(sorry) - 1);
	_exit(125);
}

_Noreturn void userns_run(int argc, char **argv)
{
	if (argc <= ARGUMENTS)
		_exit(125);
	(void)signal(SIGCHLD, SIG_DFL);
	become_program(argv[MARKER], enter(argv), argv + PROGRAM);
}

/* With a mount namespace that belongs to the user namespace, so that mounts can be made and the directory is kept. */
_Noreturn void enter_run(int argc, char **argv)
{
	enum { PIDFD = 3, WORDS, LEAST };
	struct outcome outcome = { 0 };
	int pidfd;

	if (argc <= LEAST)
		_exit(125);
	pidfd = atoi(argv[PIDFD]);
	if (setns(pidfd, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0)
		outcome = (struct outcome){ .stage = OUTCOME_JOIN, .error = errno };
	close(pidfd);
	become_program(argv[MARKER], outcome, argv + WORDS);
}
