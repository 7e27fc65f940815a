/*
 * The spawner: a process of the container that carries the notify filter and starts programs for the supervisor there,
 * with the credentials, the root and the directory of the thread that they are for (FUSE programs). It is a fork of the
 * command from before its execve(2), because only a fork can have the same filter; PID 1 becomes its parent.
 *
 *   spawner                one request: fork
 *     watcher              tells what the program says and how it ends, ends it when nobody is interested any more
 *       program
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "interceptor-init.h"
#include "kernel.h"

enum { REQUEST_MAX = 65536, WORDS_MAX = 64, OUTPUT_MAX = 2048, GROUPS_MAX = 1024 };

/* In step with src/intercept/families/mount/fuse/spawner.ts. */
enum request_descriptors { REPLY, MOUNT_NAMESPACE, ROOT, DIRECTORY, DESCRIPTORS };

struct request {
	uint32_t uid;
	uint32_t gid;
	uint32_t groups;
	uint32_t words;
	uint64_t bounding; /* capabilities that the program may get by execve(2) */
	uint32_t no_new_privs;
	uint32_t reserved;
	/* Then the groups, four bytes each, and the words, each with its zero: the program first, by path or name. */
};
_Static_assert(sizeof(struct request) == 32, "src/intercept/families/mount/fuse/spawner.ts writes a header of 32 bytes");

enum reply_type { REPLY_OUTPUT = 1, REPLY_ENDED, REPLY_NOT_STARTED };

struct reply {
	int32_t type;
	int32_t value; /* wait status, or errno */
	char output[OUTPUT_MAX];
};

static const char *const environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C", NULL,
};

static void answer(int socket, int32_t type, int32_t value)
{
	const struct reply reply = { .type = type, .value = value };

	(void)send(socket, &reply, offsetof(struct reply, output), MSG_NOSIGNAL);
}

static int drop_capabilities(uint64_t bounding)
{
	for (int capability = 0; capability < 64; capability++) {
		if (bounding >> capability & 1)
			continue;
		/* EINVAL: this kernel has no such capability. */
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
			return -1;
	}
	return 0;
}

/* Each step before execve(2) that fails is told by its errno. */
static _Noreturn void become_program(const struct request *request, const char **words, const int *fds, int output)
{
	const gid_t *groups = (const void *)(request + 1);
	const int reply = fcntl(fds[REPLY], F_DUPFD_CLOEXEC, 3);
	sigset_t none;
	int idle[2];

	sigemptyset(&none);
	(void)setsid();
	umask(022);
	if (reply >= 0 && setns(fds[MOUNT_NAMESPACE], CLONE_NEWNS) == 0 && fchdir(fds[ROOT]) == 0 && chroot(".") == 0 &&
	    fchdir(fds[DIRECTORY]) == 0 && pipe(idle) == 0 && dup2(idle[0], 0) == 0 && dup2(output, 1) == 1 &&
	    dup2(output, 2) == 2 && sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
	    drop_capabilities(request->bounding) == 0 && (setgroups(request->groups, groups) == 0 || errno == EPERM) &&
	    setresgid(request->gid, request->gid, request->gid) == 0 &&
	    setresuid(request->uid, request->uid, request->uid) == 0 &&
	    (!request->no_new_privs || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)) {
		sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execvpe(words[0], (char *const *)(uintptr_t)words, (char *const *)(uintptr_t)environment);
	}
	answer(reply, REPLY_NOT_STARTED, errno);
	_exit(127);
}

static void forward_output(int output, int socket)
{
	struct reply reply = { .type = REPLY_OUTPUT };
	const ssize_t length = read(output, reply.output, sizeof(reply.output));

	/* What nobody reads is dropped: the program must not wait for us. */
	if (length > 0)
		(void)send(socket, &reply, offsetof(struct reply, output) + (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A byte on the socket: the program is to go on without us. Its end before that: nobody wants it any more. */
static void watch(pid_t pid, int pidfd, int output, int socket)
{
	struct pollfd watched[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = output, .events = POLLIN },
		{ .fd = socket, .events = POLLIN },
	};
	char byte;

	for (;;) {
		if (poll(watched, 3, -1) < 0)
			continue;
		if (watched[1].revents & POLLIN)
			forward_output(output, socket);
		else if (watched[1].revents)
			watched[1].fd = -1;
		if (watched[2].revents) {
			if (recv(socket, &byte, 1, MSG_DONTWAIT) <= 0)
				(void)kill(pid, SIGKILL);
			watched[2].fd = -1;
		}
		if (watched[0].revents && !(watched[1].revents & POLLIN))
			return;
	}
}

static _Noreturn void run_watcher(const struct request *request, const char **words, const int *fds)
{
	int output[2];
	int status = 0;
	int pidfd;
	pid_t pid;

	(void)signal(SIGCHLD, SIG_DFL);
	close(SPAWNER_FD);
	if (pipe2(output, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		answer(fds[REPLY], REPLY_NOT_STARTED, errno);
		_exit(1);
	}
	if (pid == 0)
		become_program(request, words, fds, output[1]);
	close(output[1]);
	close(fds[MOUNT_NAMESPACE]);
	close(fds[ROOT]);
	close(fds[DIRECTORY]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0)
		watch(pid, pidfd, output[0], fds[REPLY]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	answer(fds[REPLY], REPLY_ENDED, status);
	_exit(0);
}

/* -1 where the request is not whole. The words point into it. */
static int parse(const struct request *request, size_t size, const char **words)
{
	const char *at = (const char *)(request + 1);
	const char *end = (const char *)request + size;

	if (size < sizeof(*request) || request->groups > GROUPS_MAX || request->words == 0 ||
	    request->words > WORDS_MAX || (size_t)(end - at) < request->groups * sizeof(gid_t) || end[-1] != '\0')
		return -1;
	at += request->groups * sizeof(gid_t);
	for (uint32_t i = 0; i < request->words; i++) {
		if (at >= end)
			return -1;
		words[i] = at;
		at += strlen(at) + 1;
	}
	words[request->words] = NULL;
	return 0;
}

static void serve(const struct request *request, size_t size, const int *fds)
{
	const char *words[WORDS_MAX + 1];

	if (parse(request, size, words) < 0) {
		answer(fds[REPLY], REPLY_NOT_STARTED, EINVAL);
		return;
	}
	switch (fork()) {
	case 0:
		run_watcher(request, words, fds);
	case -1:
		answer(fds[REPLY], REPLY_NOT_STARTED, errno);
		break;
	default:
		break;
	}
}

static _Noreturn void spawner_run(void)
{
	static union {
		struct request request;
		char bytes[REQUEST_MAX];
	} buffer;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
	} control;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)setsid();
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* Streams of the command's that nobody else may have open: a pipe of its would never end. */
	(void)sys_close_range(0, SPAWNER_FD - 1, 0);
	(void)sys_close_range(SPAWNER_FD + 1, ~0U, 0);
	for (;;) {
		struct iovec data = { .iov_base = buffer.bytes, .iov_len = sizeof(buffer) };
		struct msghdr message = {
			.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes),
		};
		const ssize_t size = recvmsg(SPAWNER_FD, &message, MSG_CMSG_CLOEXEC);
		int fds[DESCRIPTORS];

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			_exit(0);
		if (message.msg_controllen < CMSG_LEN(sizeof(fds)) || control.header.cmsg_type != SCM_RIGHTS)
			_exit(1);
		memcpy(fds, CMSG_DATA(&control.header), sizeof(fds));
		serve(&buffer.request, (size_t)size, fds);
		for (unsigned int i = 0; i < DESCRIPTORS; i++)
			close(fds[i]);
	}
}

/* Returns in the caller, which is left without a child. */
int spawner_start(void)
{
	const pid_t between = fork();

	if (between == 0) {
		const pid_t spawner = fork();

		if (spawner == 0)
			spawner_run();
		_exit(spawner < 0);
	}
	if (between < 0)
		return -1;
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}
