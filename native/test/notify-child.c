/*
 * notify-child: makes system calls on demand in a namespace of its own, under a filter that a test wrote.
 *
 *     notify-child FILTER INSIDE:OUTSIDE:COUNT
 *
 * The child unshares user, mount and pid namespaces with that map (for users and groups), installs the filter with
 * WAIT_KILLABLE_RECV, and prints "ready PID LISTENER". Then each line on standard input is one operation, and its
 * answer is one line "RESULT ERRNO" on standard output. "thread" in front has another thread, with its own root and
 * working directory, do the operation; that thread lives as long as the child does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

struct operation {
	char *words[8];
	long result;
	int error;
};

static volatile sig_atomic_t signals;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "notify-child: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void write_map(pid_t pid, const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

/* COUNT calls of NUMBER; how many gave 42. With a storm, a timer interrupts every 100 microseconds. */
static long call_many(long number, long count, int storm)
{
	struct itimerval timer = { { 0, 100 }, { 0, 100 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	long good = 0;

	if (storm) {
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &timer, NULL);
	}
	for (long i = 0; i < count; i++)
		good += syscall(number, i, 2, 3, 4, 5, 6) == 42;
	if (storm)
		setitimer(ITIMER_REAL, &off, NULL);
	return good;
}

static long number_of(const char *word)
{
	return strtol(word, NULL, 0);
}

static long set_groups(char **words)
{
	gid_t groups[8];
	size_t count = 0;

	for (; words[count] != NULL && count < 8; count++)
		groups[count] = (gid_t)number_of(words[count]);
	return setgroups(count, groups);
}

static long perform(struct operation *op)
{
	char **w = op->words;
	const char *name = w[0];

	if (strcmp(name, "mknodat") == 0)
		return syscall(SYS_mknodat, (int)number_of(w[1]), w[2], (mode_t)number_of(w[3]), (unsigned int)number_of(w[4]));
	if (strcmp(name, "faccessat") == 0)
		return syscall(SYS_faccessat, (int)number_of(w[1]), w[2], number_of(w[3]));
	if (strcmp(name, "call") == 0)
		return syscall(number_of(w[1]), number_of(w[2]), number_of(w[3]), w[4] ? number_of(w[4]) : 0, 0, 0, 0);
	if (strcmp(name, "many") == 0)
		return call_many(number_of(w[1]), number_of(w[2]), 0);
	if (strcmp(name, "storm") == 0)
		return call_many(number_of(w[1]), number_of(w[2]), 1);
	if (strcmp(name, "chdir") == 0)
		return chdir(w[1]);
	if (strcmp(name, "chroot") == 0)
		return chroot(w[1]);
	if (strcmp(name, "open") == 0)
		return open(w[1], O_PATH);
	if (strcmp(name, "umask") == 0)
		return umask((mode_t)number_of(w[1]));
	if (strcmp(name, "setgroups") == 0)
		return set_groups(w + 1);
	if (strcmp(name, "setfsuid") == 0)
		return syscall(SYS_setfsuid, (uid_t)number_of(w[1]));
	if (strcmp(name, "setresuid") == 0)
		return syscall(SYS_setresuid, number_of(w[1]), number_of(w[1]), number_of(w[1]));
	if (strcmp(name, "setresgid") == 0)
		return syscall(SYS_setresgid, number_of(w[1]), number_of(w[1]), number_of(w[1]));
	if (strcmp(name, "keepcaps") == 0)
		return prctl(PR_SET_SECUREBITS, number_of(w[1]), 0, 0, 0);
	if (strcmp(name, "dropcap") == 0) {
		/* One capability out of the effective set. */
		struct { unsigned int version; int pid; } header = { 0x20080522, 0 };
		struct { unsigned int effective, permitted, inheritable; } data[2];
		long capability = number_of(w[1]);

		if (syscall(SYS_capget, &header, data) < 0)
			return -1;
		data[capability / 32].effective &= ~(1U << (capability % 32));
		return syscall(SYS_capset, &header, data);
	}
	if (strcmp(name, "mount-tmpfs") == 0)
		return mount("none", w[1], "tmpfs", 0, NULL);
	if (strcmp(name, "unshare") == 0)
		return unshare((int)number_of(w[1]));
	if (strcmp(name, "prctl-name") == 0)
		return prctl(PR_SET_NAME, w[1], 0, 0, 0);
	if (strcmp(name, "crash") == 0)
		return kill(getpid(), SIGKILL);
	errno = ENOSYS;
	return -1;
}

static void run(struct operation *op)
{
	errno = 0;
	op->result = perform(op);
	op->error = op->result == -1 ? errno : 0;
}

static struct operation *to_thread;
static sem_t begin, done;

static void *thread_main(void *unused)
{
	(void)unused;
	if (unshare(CLONE_FS) < 0)
		die("unshare");
	for (;;) {
		while (sem_wait(&begin) < 0)
			continue;
		run(to_thread);
		sem_post(&done);
	}
	return NULL;
}

static void serve(void)
{
	char line[16384];
	pthread_t thread;
	int has_thread = 0;

	sem_init(&begin, 0, 0);
	sem_init(&done, 0, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct operation op = { 0 };
		char *rest = line, *word;
		int count = 0, in_thread = 0;

		line[strcspn(line, "\n")] = '\0';
		/* Empty words count: an empty path is one. */
		while ((word = strsep(&rest, " ")) != NULL && count < 7) {
			if (count == 0 && strcmp(word, "thread") == 0 && !in_thread)
				in_thread = 1;
			else
				op.words[count++] = word;
		}
		if (in_thread && !has_thread) {
			if (pthread_create(&thread, NULL, thread_main, NULL) != 0)
				die("pthread_create");
			has_thread = 1;
		}
		if (in_thread) {
			to_thread = &op;
			sem_post(&begin);
			while (sem_wait(&done) < 0)
				continue;
		} else
			run(&op);
		printf("%ld %d\n", op.result, op.error);
		fflush(stdout);
	}
}

static void install(int filter)
{
	static struct sock_filter instructions[4096];
	struct sock_fprog program = { 0, instructions };
	ssize_t length = read(filter, instructions, sizeof(instructions));
	long listener;

	if (length <= 0)
		die("the filter");
	close(filter);
	program.len = (unsigned short)((size_t)length / sizeof(instructions[0]));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
	if (listener < 0)
		die("seccomp");
	printf("listener %ld\n", listener);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int go[2], status, filter;
	char map[64];
	unsigned int inside, outside, count;
	pid_t pid;

	if (argc != 3 || sscanf(argv[2], "%u:%u:%u", &inside, &outside, &count) != 3) {
		fputs("usage: notify-child FILTER INSIDE:OUTSIDE:COUNT\n", stderr);
		return 2;
	}
	filter = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (filter < 0 || pipe2(go, O_CLOEXEC) < 0)
		die(argv[1]);
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		char byte;

		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(125);
		if (setresgid(inside, inside, inside) < 0 || setgroups(0, NULL) < 0 || setresuid(inside, inside, inside) < 0)
			die("setresuid");
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		umask(022);
		install(filter);
		serve();
		_exit(0);
	}
	printf("pid %d\n", pid);
	fflush(stdout);
	snprintf(map, sizeof(map), "%u %u %u\n", inside, outside, count);
	write_map(pid, "uid_map", map);
	write_map(pid, "gid_map", map);
	if (write(go[1], "g", 1) != 1)
		die("write");
	close(go[0]);
	close(0);
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
