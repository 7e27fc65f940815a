/*
 * The child that becomes the command. It shares the descriptor table with PID 1 until execve(2), so that the listener
 * of its filter is in that table too, where Node can take it with pidfd_getfd(2).
 *
 * Invariant: between the installation of the notify filter and `go` it makes no system call, because there is nobody
 * yet to answer one. It speaks through a shared page only, before and after.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "interceptor-init.h"
#include "kernel.h"

/* For execve(2). `arguments` has a free slot in front, for the shell that runs a script without #!. */
struct vectors {
	const char **arguments;
	const char **environment;
};

int install_filter(const struct record *filter, unsigned int flags)
{
	struct sock_filter *code = (void *)(uintptr_t)record_bytes(filter);
	struct sock_fprog program = {
		.len = (unsigned short)(filter->length / sizeof(struct sock_filter)),
		.filter = code,
	};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static const char **collect(const struct plan *plan, enum record_kind kind, size_t spare)
{
	size_t count = spare + 1;
	size_t i = spare;
	const char **strings;

	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record))
		count += record->kind == kind;
	strings = mmap(NULL, count * sizeof(*strings), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (strings == MAP_FAILED)
		fail(STAGE_COMMAND, 0);
	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record)) {
		if (record->kind == kind)
			strings[i++] = record_string(record, 0);
	}
	return strings;
}

static _Noreturn void give_up(struct command_page *page, enum stage stage)
{
	page->error = errno;
	page->stage = (int32_t)stage;
	atomic_store(&page->state, COMMAND_FAILED);
	_exit(125);
}

/* Handlers do not exist here; what is ignored is what was ignored when interceptor was started. */
static void reset_signals(const struct plan *plan)
{
	sigset_t none;

	for (int signal = 1; signal <= 64; signal++) {
		struct sigaction action = { .sa_handler = SIG_DFL };

		if (plan->ignored_signals >> (signal - 1) & 1)
			action.sa_handler = SIG_IGN;
		/* SIGKILL, SIGSTOP and the two that the C library keeps to itself give EINVAL. */
		(void)sigaction(signal, &action, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Installing a filter without no_new_privs needs CAP_SYS_ADMIN, and nothing may be called afterwards, so an ordinary
 * user keeps just that one until execve(2), which drops the permitted set of a user that is not root (capabilities(7)).
 */
static int take_credentials(const struct plan *plan)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -1;
	if (plan->uid != 0 && prctl(PR_SET_KEEPCAPS, 1) < 0)
		return -1;
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0 || setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return -1;
	if (plan->uid == 0)
		return 0;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective = CAP_TO_MASK(CAP_SYS_ADMIN);
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].permitted = CAP_TO_MASK(CAP_SYS_ADMIN);
	return (int)syscall(SYS_capset, &header, data);
}

static inline void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * As execvpe(3), over candidates that Node worked out from PATH. Returns with errno. Unlike there, a directory of PATH
 * that may not be searched (the caller's, who was another user) has no say in why a command was not found.
 */
static void execute(const struct plan *plan, const struct vectors *vectors)
{
	const bool has_slash = vectors->arguments[1] && strchr(vectors->arguments[1], '/');
	char *const *arguments = (char *const *)(uintptr_t)(vectors->arguments + 1);
	char *const *environment = (char *const *)(uintptr_t)vectors->environment;
	int error = ENOENT;

	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record)) {
		const char *path = record_string(record, 0);

		if (record->kind != RECORD_CANDIDATE)
			continue;
		execve(path, arguments, environment);
		if (errno == ENOEXEC) {
			vectors->arguments[0] = "/bin/sh";
			vectors->arguments[1] = path;
			execve("/bin/sh", (char *const *)(uintptr_t)vectors->arguments, environment);
			errno = ENOEXEC;
		}
		if (errno == EACCES) {
			if (has_slash || access(path, F_OK) == 0)
				error = EACCES;
		} else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT) {
			return;
		} else if (errno == ENOTDIR && has_slash) {
			error = ENOTDIR;
		}
	}
	errno = error;
}

/* ENOENT of a file that is there: its interpreter, the dynamic loader or that of the #! line, is missing. */
static int any_exists(const struct plan *plan)
{
	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record)) {
		if (record->kind == RECORD_CANDIDATE && access(record_string(record, 0), F_OK) == 0)
			return 1;
	}
	return 0;
}

static _Noreturn void become_command(const struct plan *plan, struct command_page *page, const struct vectors *vectors)
{
	const struct record *workdir = plan_find(plan, RECORD_WORKDIR);
	const struct record *notify = plan_find(plan, RECORD_NOTIFY_FILTER);
	const bool late = (plan->flags & PLAN_SPAWNER) && plan->uid != 0;
	unsigned int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (plan->flags & PLAN_WAIT_KILLABLE)
		flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	/* The spawner acts for callers of every kind, so that it must still be root when it is forked. */
	if (!late && take_credentials(plan) < 0)
		give_up(page, STAGE_CREDENTIALS);
	/* A session may be killed by the container before `go`: nobody would ever let us go then. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		give_up(page, STAGE_CREDENTIALS);
	if (workdir && chdir(record_string(workdir, 0)) < 0)
		give_up(page, STAGE_WORKDIR);
	reset_signals(plan);
	page->listener = -1;
	if (notify) {
		page->listener = install_filter(notify, flags);
		if (page->listener < 0)
			give_up(page, STAGE_NOTIFY_FILTER);
	}
	atomic_store(&page->state, COMMAND_READY);
	while (!atomic_load(&page->go))
		pause_processor();
	(void)prctl(PR_SET_PDEATHSIG, 0);
	/* From here on calls are answered. Without a spawner no program can be started, which is told when one is to be. */
	if (plan->flags & PLAN_SPAWNER)
		(void)spawner_start();
	if (!late || take_credentials(plan) == 0)
		execute(plan, vectors);
	page->exec_error = errno;
	page->exists = any_exists(plan);
	_exit(127);
}

pid_t command_start(const struct plan *plan, struct command_page *page)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	const struct vectors vectors = {
		.arguments = collect(plan, RECORD_ARGUMENT, 1),
		.environment = collect(plan, RECORD_ENVIRONMENT, 0),
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		become_command(plan, page, &vectors);
	return pid;
}
