/*
 * PID 1 of the container: starts the command, hands over its listener, forwards signals, reaps, and ends everything
 * when the command ends or when Node or the outer process is gone.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include "interceptor-init.h"
#include "kernel.h"

enum { INSTALL_PAUSE_NS = 20000 };

struct init {
	const struct inner_context *context;
	struct command_page *page;
	pid_t command;
	bool started; /* Node said go */
	bool stopped;
};

/*
 * Ends every other process of this pid namespace (kill(2), pid -1) and reaps what is a child by now. A session shares
 * the pid namespace with others: what it left is ended by the outer process, which can see it.
 */
static _Noreturn void end_everything(const struct init *init, int status)
{
	const struct message message = { .type = MESSAGE_ENDED };

	if (init->context->joined) {
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			_exit(status);
		if (send_message(init->context->outer, &message) < 0)
			_exit(status);
	} else {
		(void)kill(-1, SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(status);
}

static _Noreturn void report_end(const struct init *init, int status)
{
	const struct message message = {
		.type = MESSAGE_ENDED, .a = status, .b = init->page->exec_error, .c = init->page->exists,
	};

	(void)send_message(INIT_FD, &message);
	end_everything(init, 0);
}

static void report_stop(struct init *init, int signal)
{
	const struct message message = { .type = MESSAGE_STOPPED, .a = signal };

	init->stopped = true;
	(void)send_message(INIT_FD, &message);
}

static void reap(struct init *init)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (pid != init->command)
			continue;
		if (WIFSTOPPED(status)) {
			if (init->started)
				report_stop(init, WSTOPSIG(status));
		} else if (WIFCONTINUED(status)) {
			init->stopped = false;
		} else {
			report_end(init, status);
		}
	}
}

/*
 * Waits until the child has its filter, then stops it: it spins without a system call, and would burn a processor
 * until Node has a supervisor ready.
 */
static void wait_until_installed(struct init *init)
{
	const struct timespec pause = { .tv_nsec = INSTALL_PAUSE_NS };
	struct message ready = { .type = MESSAGE_READY };
	int state;
	int status;

	while ((state = atomic_load(&init->page->state)) == COMMAND_STARTING) {
		if (waitpid(init->command, &status, WNOHANG) == init->command)
			report_end(init, status);
		nanosleep(&pause, NULL);
	}
	if (state == COMMAND_FAILED) {
		errno = init->page->error;
		fail((enum stage)init->page->stage, 0);
	}
	(void)kill(init->command, SIGSTOP);
	ready.a = init->page->listener;
	if (send_message(INIT_FD, &ready) < 0)
		end_everything(init, 125);
}

/* Node has the listener now. Ours must go: as long as it is open the command would wait for a dead supervisor. */
static void go(struct init *init)
{
	if (init->started)
		return;
	init->started = true;
	if (init->page->listener >= 0)
		close(init->page->listener);
	atomic_store(&init->page->go, 1);
	(void)kill(init->command, SIGCONT);
}

/*
 * After `fg`. A command in the group of the supervisor (0: a group from outside this pid namespace) got the shell's
 * SIGCONT and the terminal by itself.
 */
static void continue_command(struct init *init, bool foreground)
{
	const pid_t group = getpgid(init->command);

	if (!init->started)
		return;
	if (group > 0 && foreground && init->context->terminal >= 0)
		(void)tcsetpgrp(init->context->terminal, group);
	reap(init);
	if (init->stopped)
		(void)kill(group > 0 ? -group : init->command, SIGCONT);
}

/* SIGCONT continues a process where it is sent (prepare_signal() in kernel/signal.c), so that waitpid(2) knows. */
static void confirm_stop(struct init *init, const struct message *question)
{
	reap(init);
	if (init->stopped)
		(void)send_message(INIT_FD, question);
}

static void read_node(struct init *init)
{
	struct message message;

	if (receive_message(INIT_FD, &message) <= 0)
		end_everything(init, 125);
	switch (message.type) {
	case MESSAGE_GO:
		go(init);
		break;
	case MESSAGE_SIGNAL:
		if (message.a > 0 && message.a < NSIG)
			(void)kill(init->command, message.a);
		break;
	default:
		break;
	}
}

static void read_outer(struct init *init)
{
	struct message message;

	if (receive_message(init->context->outer, &message) <= 0)
		end_everything(init, 125);
	if (message.type == MESSAGE_CONTINUE)
		continue_command(init, message.a != 0);
	else if (message.type == MESSAGE_CONFIRM)
		confirm_stop(init, &message);
}

static void drain(int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) > 0)
		;
}

_Noreturn void init_run(const struct inner_context *context)
{
	struct init init = { .context = context };
	struct pollfd watched[3] = { { .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN } };
	sigset_t children;

	init.page = mmap(NULL, sizeof(*init.page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	watched[0].fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	watched[1].fd = INIT_FD;
	watched[2].fd = context->outer;
	if (init.page == MAP_FAILED || watched[0].fd < 0)
		fail(STAGE_COMMAND, 0);
	init.command = command_start(context->plan, init.page);
	if (init.command < 0)
		fail(STAGE_COMMAND, 0);
	wait_until_installed(&init);
	for (;;) {
		if (poll(watched, 3, -1) < 0 && errno != EINTR)
			end_everything(&init, 125);
		if (watched[0].revents) {
			drain(watched[0].fd);
			reap(&init);
		}
		if (watched[1].revents)
			read_node(&init);
		if (watched[2].revents)
			read_outer(&init);
	}
}
