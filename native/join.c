/*
 * A command in a container that runs already: from the namespaces of its PID 1 to the process that starts the command
 * and reaps what it leaves. Runs in three steps, because a process of ours must not be seen in the container's pid
 * namespace before it has given up the ids of the host:
 *
 *   outer (outer.c)      stays where the supervisor is
 *   a short-lived child  joins all namespaces, becomes the container's root, clones the next one
 *   session              is the first in the container's pid namespace; starts and reaps the command (init.c)
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "interceptor-init.h"
#include "kernel.h"

enum { TREE_DEPTH_MAX = 64, PATH_SIZE = 64 };

/* Nobody of the container may look into the session: see inner_run(). */
static void hide(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		fail(STAGE_IDENTITY, 0);
}

static _Noreturn void session_run(const struct inner_context *context)
{
	hide();
	/* Orphans of the command come to us, so that they end with it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail(STAGE_IDENTITY, 0);
	wait_until_staged(context->outer);
	install_deny_filter(context->plan);
	init_run(context);
}

/*
 * All at once, so that there is no moment in which we are in the user namespace and still in a mount namespace of the
 * host. The pid namespace is that of children only. The network namespace, where it is another one, comes first: it may
 * belong to the host, and then can't be joined from the container's user namespace.
 */
static void enter(const struct plan *plan)
{
	const int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	hide();
	if (plan->flags & PLAN_NETWORK_NONE && setns(JOIN_FD, CLONE_NEWNET) < 0)
		fail(STAGE_JOIN, 0);
	if (setns(JOIN_FD, namespaces) < 0)
		fail(STAGE_JOIN, 0);
	close(JOIN_FD);
	/* The change of credentials may have made us dumpable (fs.suid_dumpable). */
	hide();
	take_identity();
	hide();
}

static _Noreturn void join(struct inner_context *context, int outer_end)
{
	struct clone_args args = { .flags = CLONE_PARENT };
	struct message message = { .type = MESSAGE_INNER };

	report_to(INIT_FD);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(STAGE_IDENTITY, 0);
	enter(context->plan);
	message.a = sys_clone3(&args);
	if (message.a < 0)
		fail(STAGE_CLONE, 0);
	if (message.a == 0) {
		close(outer_end);
		session_run(context);
	}
	/* We see pids as the supervisor does: our own pid namespace is still its. */
	_exit(send_message(context->outer, &message) == 0 ? 0 : 125);
}

/* Returns the session's pid and our end of the socket to it. */
pid_t join_start(const struct plan *plan, int terminal, int *socket)
{
	struct inner_context context = { .plan = plan, .terminal = terminal, .joined = true };
	struct message message;
	int pair[2];
	pid_t child;
	int status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail(STAGE_CLONE, 0);
	child = fork();
	if (child < 0)
		fail(STAGE_CLONE, 0);
	if (child == 0) {
		supervisor_leave();
		close(CONTROL_FD);
		close(PLAN_FD);
		context.outer = pair[1];
		join(&context, pair[0]);
	}
	close(pair[1]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	/* On failure it has told Node already. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || receive_message(pair[0], &message) <= 0)
		_exit(125);
	*socket = pair[0];
	return message.a;
}

static bool is_child_of(pid_t pid, pid_t parent)
{
	char path[PATH_SIZE];
	char text[512];
	const char *fields;
	ssize_t length;
	int fd;
	int found = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	/* The name, in brackets, may hold anything: what follows its last bracket is ours to read (proc_pid_stat(5)). */
	fields = strrchr(text, ')');
	return fields && sscanf(fields + 1, " %*c %d", &found) == 1 && found == parent;
}

/* By a pidfd that is held while its parent is looked at: a number alone may be another process by now. */
static void kill_child(pid_t pid, pid_t parent)
{
	const int pidfd = sys_pidfd_open(pid);

	if (pidfd < 0)
		return;
	if (is_child_of(pid, parent))
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	close(pidfd);
}

static unsigned int kill_children_of_thread(pid_t pid, const char *thread, unsigned int depth)
{
	char path[PATH_SIZE];
	FILE *children;
	unsigned int count = 0;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, thread);
	children = fopen(path, "re");
	if (!children)
		return 0;
	while (fscanf(children, "%d", &child) == 1) {
		(void)kill_tree(child, depth + 1);
		kill_child(child, pid);
		count++;
	}
	(void)fclose(children);
	return count;
}

/*
 * Ends what is below `pid`, by the supervisor's own /proc. What grows meanwhile, or lies deeper than we look, comes to
 * the session when what is above it dies, and is met in the next round. Returns how many children there were, dead ones that nobody has
 * waited for yet included.
 */
unsigned int kill_tree(pid_t pid, unsigned int depth)
{
	char path[PATH_SIZE];
	const struct dirent *entry;
	DIR *threads;
	unsigned int count = 0;

	if (depth > TREE_DEPTH_MAX)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		return 0;
	while ((entry = readdir(threads))) {
		if (entry->d_name[0] != '.')
			count += kill_children_of_thread(pid, entry->d_name, depth);
	}
	(void)closedir(threads);
	return count;
}
