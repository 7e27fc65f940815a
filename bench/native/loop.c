/*
 * loop: the least that a supervisor in C must do, with the flags that interceptor's own loop uses.
 *
 *     loop MODE COMMAND [ARG...]
 *
 * Runs COMMAND in user, mount and pid namespaces of its own under a filter that notifies of one system call, and
 * answers: bare (0 at once), continue (the kernel goes on), mknod and sysinfo (the kernel calls that a safe emulation
 * needs, and nothing else: what remains of an emulation's cost if the supervisor's own code took no time).
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { FIRST_ID = 1000000, IDS = 65536 };

static const struct mode {
	const char *name;
	unsigned int number;
	perform_fn perform;
} MODES[] = {
	{ "bare", SYS_unlinkat, answer_zero },
	{ "continue", SYS_unlinkat, answer_continue },
	{ "mknod", SYS_mknodat, perform_mknod },
	{ "sysinfo", SYS_sysinfo, perform_sysinfo },
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "loop: cannot %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void write_map(pid_t pid, const char *file, unsigned int outside, unsigned int count)
{
	char path[64], text[64];
	int fd, length;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	length = snprintf(text, sizeof(text), "0 %u %u\n", outside, count);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)length) < 0)
		die("map ids");
	close(fd);
}

static int install(unsigned int number)
{
	const struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
		(unsigned short)(sizeof(instructions) / sizeof(instructions[0])), (struct sock_filter *)(uintptr_t)instructions,
	};
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("set no_new_privs");
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static _Noreturn void run_command(const struct mode *mode, int go, int tell, bool mapped, char **command)
{
	int listener;
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(125);
	if (setresgid(0, 0, 0) < 0 || (mapped && setgroups(0, NULL) < 0) || setresuid(0, 0, 0) < 0)
		die("become root of the namespace");
	/* Not before: a change of ids takes it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	umask(022);
	listener = install(mode->number);
	if (listener < 0)
		die("install the filter");
	if (write(tell, &listener, sizeof(listener)) != (ssize_t)sizeof(listener) || read(go, &byte, 1) != 1)
		die("hand over the listener");
	execv(command[0], command);
	die("start the command");
}

/* Returns when nobody carries the filter any more. */
static void supervise(int listener, perform_fn perform)
{
	struct pollfd fds[2] = { { .fd = listener, .events = POLLIN }, { .events = POLLIN } };

	/* As interceptor has one to be stopped with. */
	fds[1].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	for (;;) {
		struct seccomp_notif notice;
		struct seccomp_notif_resp response;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		if ((fds[0].revents & POLLIN) == 0)
			return;
		memset(&notice, 0, sizeof(notice));
		memset(&response, 0, sizeof(response));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
			continue;
		response.id = notice.id;
		perform(listener, &notice, &response);
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++)
		if (strcmp(MODES[i].name, name) == 0)
			return &MODES[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mode *mode = argc > 2 ? find_mode(argv[1]) : NULL;
	const bool is_root = geteuid() == 0;
	const unsigned int uid = geteuid(), gid = getegid();
	int go[2], tell[2], remote, listener, pidfd, status;
	pid_t pid;

	if (mode == NULL) {
		fputs("usage: loop bare|continue|mknod|sysinfo COMMAND [ARG...]\n", stderr);
		return 2;
	}
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(tell, O_CLOEXEC) < 0)
		die("make pipes");
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("make namespaces");
	if (pid == 0) {
		close(go[1]);
		run_command(mode, go[0], tell[1], is_root, argv + 2);
	}
	close(tell[1]);
	if (!is_root) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "deny", 4) != 4)
			die("deny setgroups");
		close(fd);
	}
	write_map(pid, "uid_map", is_root ? FIRST_ID : uid, is_root ? IDS : 1);
	write_map(pid, "gid_map", is_root ? FIRST_ID : gid, is_root ? IDS : 1);
	if (write(go[1], "g", 1) != 1 || read(tell[0], &remote, sizeof(remote)) != (ssize_t)sizeof(remote))
		die("start the child");
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	listener = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, remote, 0);
	if (listener < 0)
		die("take the listener");
	if (mode->perform == perform_mknod || mode->perform == perform_sysinfo)
		prepare_identity();
	/* The conversation is the command's alone. */
	close(0);
	close(1);
	if (write(go[1], "g", 1) != 1)
		die("start the command");
	supervise(listener, mode->perform);
	if (waitpid(pid, &status, 0) < 0)
		die("wait for the command");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
