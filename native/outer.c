/*
 * The outer process: in the host's pid namespace and the supervisor's user namespace. It owns the mount namespace in
 * which the container's file system is put together, witnesses which signals the whole process group got, and sees to
 * it that nothing survives Node: its death (supervisor.c), or end-of-file on the control socket, ends the container and
 * removes what the plan lists.
 *
 * All signals stay blocked, so that the terminal's never end or stop it.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "interceptor-init.h"
#include "kernel.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#define UMOUNT_NOFOLLOW 8
#endif

enum { KILL_ROUNDS = 200, KILL_PAUSE_MS = 5, WITNESS_MS = 500, REMOVE_TRIES = 200, REMOVE_PAUSE_NS = 5000000 };

/* How often the supervisor's state is looked at where no signal says that it is dead. */
enum { LOOK_MS = 1000 };

struct outer {
	const struct plan *plan;
	int signals; /* signalfd */
	int terminal; /* /dev/tty or -1 */
	bool foreground; /* our group had the terminal at the start */
	bool joins; /* `pid` is a session in somebody else's pid namespace (join.c) */
	int inner; /* socket to the inner process */
	int pidfd;
	pid_t pid;
	int64_t seen_ms[NSIG]; /* when each signal last arrived */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_signals(struct outer *outer)
{
	struct signalfd_siginfo info;

	while (read(outer->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo < NSIG)
			outer->seen_ms[info.ssi_signo] = now_ms();
	}
}

/* A signal that Node got and we got too went to the whole process group, so the command has it already. */
static void answer(struct outer *outer, int signal)
{
	struct message message = { .type = MESSAGE_ANSWER, .a = signal };

	read_signals(outer);
	if (signal > 0 && signal < NSIG) {
		message.b = outer->seen_ms[signal] != 0 && now_ms() - outer->seen_ms[signal] < WITNESS_MS;
		outer->seen_ms[signal] = 0;
	}
	(void)send_message(CONTROL_FD, &message);
}

static void continue_command(const struct outer *outer)
{
	struct message message = { .type = MESSAGE_CONTINUE };

	message.a = outer->terminal >= 0 && tcgetpgrp(outer->terminal) == getpgrp();
	(void)send_message(outer->inner, &message);
}

/*
 * A command with its own process group (a shell) leaves the terminal to a group that no longer exists. Give it back,
 * but never take it from a living group: the user may have put us in the background.
 */
static void restore_terminal(const struct outer *outer)
{
	pid_t group;

	if (outer->terminal < 0 || !outer->foreground)
		return;
	group = tcgetpgrp(outer->terminal);
	if (group > 0 && group != getpgrp() && kill(-group, 0) < 0 && errno == ESRCH)
		(void)tcsetpgrp(outer->terminal, getpgrp());
}

/* A cgroup directory is busy for a moment after its last process ended (rmdir gives EBUSY). */
static void remove_path(const char *path)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (rmdir(path) == 0 || (errno == ENOTDIR && unlink(path) == 0) || errno != EBUSY)
			return;
		nanosleep(&pause, NULL);
	}
}

static _Noreturn void finish(const struct outer *outer)
{
	const struct plan *plan = outer->plan;

	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record)) {
		if (record->kind == RECORD_REMOVE)
			remove_path(record_string(record, 0));
	}
	_exit(0);
}

/* Waits until PID 1 is gone, and with it every process of its pid namespace (pid_namespaces(7)). */
static int reap_inner(const struct outer *outer)
{
	int status = 0;

	while (waitpid(outer->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* PID 1 takes its namespace along; a session only what is below it, as long as it lives and gets their orphans. */
static void kill_all(const struct outer *outer)
{
	struct pollfd ended = { .fd = outer->pidfd, .events = POLLIN };

	for (int i = 0; outer->joins && i < KILL_ROUNDS; i++) {
		if (kill_tree(outer->pid, 0) == 0)
			break;
		if (poll(&ended, 1, KILL_PAUSE_MS) > 0)
			return;
	}
	(void)kill(outer->pid, SIGKILL);
}

static _Noreturn void end_container(const struct outer *outer)
{
	kill_all(outer);
	(void)reap_inner(outer);
	restore_terminal(outer);
	finish(outer);
}

/* Waits for a message of Node's. False when there will be none. */
static bool next_message(struct outer *outer, struct message *message)
{
	struct pollfd watched[] = {
		{ .fd = CONTROL_FD, .events = POLLIN },
		{ .fd = outer->signals, .events = POLLIN },
	};

	do {
		if (poll(watched, 2, LOOK_MS) < 0 && errno != EINTR)
			return false;
		if (watched[0].revents)
			return receive_message(CONTROL_FD, message) > 0;
		read_signals(outer);
	} while (supervisor_lives());
	return false;
}

static _Noreturn void inner_gone(struct outer *outer)
{
	struct message message = { .type = MESSAGE_GONE };

	message.a = reap_inner(outer);
	restore_terminal(outer);
	if (send_message(CONTROL_FD, &message) == 0) {
		while (next_message(outer, &message) && message.type != MESSAGE_BYE)
			;
	}
	finish(outer);
}

static void read_control(struct outer *outer)
{
	struct message message;

	if (receive_message(CONTROL_FD, &message) <= 0)
		end_container(outer);
	switch (message.type) {
	case MESSAGE_ASK:
		answer(outer, message.a);
		break;
	case MESSAGE_CONTINUE:
		continue_command(outer);
		break;
	case MESSAGE_CONFIRM:
		/* Behind MESSAGE_CONTINUE where one was sent before: init answers for the time after that. */
		(void)send_message(outer->inner, &message);
		break;
	case MESSAGE_KILL:
		kill_all(outer);
		break;
	default:
		break;
	}
}

/* A session whose command has ended asks for the end of what the command left. False at the end of the socket. */
static bool read_session(const struct outer *outer)
{
	struct message message;

	if (receive_message(outer->inner, &message) <= 0)
		return false;
	if (message.type == MESSAGE_ENDED)
		kill_all(outer);
	return true;
}

static _Noreturn void monitor(struct outer *outer)
{
	struct pollfd watched[] = {
		{ .fd = outer->pidfd, .events = POLLIN },
		{ .fd = CONTROL_FD, .events = POLLIN },
		{ .fd = outer->signals, .events = POLLIN },
		{ .fd = outer->joins ? outer->inner : -1, .events = POLLIN },
	};

	for (;;) {
		if ((poll(watched, 4, LOOK_MS) < 0 && errno != EINTR) || !supervisor_lives())
			end_container(outer);
		if (watched[2].revents)
			read_signals(outer);
		if (watched[1].revents)
			read_control(outer);
		if (watched[3].revents && !read_session(outer))
			watched[3].fd = -1;
		if (watched[0].revents)
			inner_gone(outer);
	}
}

static pid_t clone_inner(struct outer *outer, int *inner_socket)
{
	int pair[2];
	int pid;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)&outer->pidfd,
	};

	if (outer->plan->flags & PLAN_NETWORK_NONE)
		args.flags |= CLONE_NEWNET;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail(STAGE_CLONE, 0);
	pid = sys_clone3(&args);
	if (pid < 0)
		fail(STAGE_CLONE, 0);
	outer->inner = pair[0];
	*inner_socket = pair[1];
	return pid;
}

static void watch_signals(struct outer *outer)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigdelset(&all, SIGCHLD);
	outer->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	outer->terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	outer->foreground = outer->terminal >= 0 && tcgetpgrp(outer->terminal) == getpgrp();
	if (outer->signals < 0)
		fail(STAGE_CLONE, 0);
}

/* Until the container is handed over, a failure must take the inner process along: it dies with its socket. */
static void hand_over(struct outer *outer)
{
	struct message message = { .type = MESSAGE_INNER, .a = outer->pid };
	char path[64];
	int user_namespace;

	if (send_message(CONTROL_FD, &message) < 0 || !next_message(outer, &message) || message.type != MESSAGE_MAPPED)
		end_container(outer);
	if (!outer->joins) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", outer->pid);
		user_namespace = open(path, O_RDONLY | O_CLOEXEC);
		if (user_namespace < 0)
			fail(STAGE_MAPPED, 0);
		stage_outside(outer->plan, user_namespace);
		close(user_namespace);
	}
	message.type = MESSAGE_STAGED;
	(void)send_message(outer->inner, &message);
}

/* Of protect_self() in userns.c: it is in use here, and the container's tree is to have no mount of it. */
static void uncover_self(void)
{
	char path[4096];
	const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length < 0)
		return;
	path[length] = '\0';
	(void)syscall(SYS_umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* The container's PID 1 in new namespaces, below a mount namespace of our own. */
static void start_inner(struct outer *outer)
{
	int inner_socket = -1;

	if (unshare(CLONE_NEWNS) < 0 || syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		fail(STAGE_MOUNT_NAMESPACE, 0);
	if (outer->plan->flags & PLAN_ROOTLESS)
		uncover_self();
	outer->pid = clone_inner(outer, &inner_socket);
	if (outer->pid == 0) {
		const struct inner_context context = {
			.plan = outer->plan, .outer = inner_socket, .terminal = outer->terminal,
		};

		supervisor_leave();
		close(CONTROL_FD);
		close(outer->inner);
		close(outer->signals);
		close(PLAN_FD);
		inner_run(&context);
	}
	close(inner_socket);
}

static void start_session(struct outer *outer)
{
	outer->pid = join_start(outer->plan, outer->terminal, &outer->inner);
	outer->pidfd = sys_pidfd_open(outer->pid);
	if (outer->pidfd < 0)
		fail(STAGE_CLONE, 0);
	close(JOIN_FD);
}

_Noreturn void outer_run(const struct plan *plan, bool joins)
{
	static struct outer outer;

	outer.plan = plan;
	outer.joins = joins;
	(void)sys_close_range(CONTROL_FD, ~0U, CLOSE_RANGE_CLOEXEC);
	watch_signals(&outer);
	supervisor_watch();
	if (chdir("/") < 0)
		fail(STAGE_MOUNT_NAMESPACE, 0);
	if (joins)
		start_session(&outer);
	else
		start_inner(&outer);
	close(INIT_FD);
	close(PLAN_FD);
	hand_over(&outer);
	monitor(&outer);
}
