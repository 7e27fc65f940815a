/*
 * Whether the supervisor lives, in whatever state its threads are. The container may hold one of them: memory or a path
 * that a FUSE server of its own never answers for keeps it in request_wait_answer() (fs/fuse/dev.c), where not even
 * SIGKILL ends it. Its descriptors stay open then, so that no socket is at its end, and a pidfd waits for every thread.
 *
 * The main thread started us. When it ends, whatever the others do, the kernel sends us a signal (PR_SET_PDEATHSIG).
 * Where it is held up itself on its way out, in a core dump or a close, only /proc says that it will not come back.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "interceptor-init.h"
#include "kernel.h"

/* include/linux/sched.h of the kernel: the thread is in do_exit(), or a signal has ended it and it gets there. */
enum { FLAG_EXITING = 0x4, FLAG_SIGNALED = 0x400 };
enum { SIGKILL_PENDING = 1 << (SIGKILL - 1) };

static pid_t supervisor;
static int main_thread; /* /proc/PID/stat, kept open: it never becomes another process's */

/*
 * Once signals are blocked, and before anything is waited for. SIGCONT, because it reaches us where somebody has stopped
 * us, too; who else sends it only has us look.
 */
void supervisor_watch(void)
{
	struct ucred maker;
	socklen_t length = sizeof(maker);
	char path[32];

	if (prctl(PR_SET_PDEATHSIG, SIGCONT) < 0 ||
	    getsockopt(CONTROL_FD, SOL_SOCKET, SO_PEERCRED, &maker, &length) < 0)
		fail(STAGE_SUPERVISION, 0);
	supervisor = maker.pid;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", supervisor);
	main_thread = open(path, O_RDONLY | O_CLOEXEC);
	if (main_thread < 0 || !supervisor_lives())
		fail(STAGE_SUPERVISION, 0);
}

/* For a child of ours, which is in the container soon. */
void supervisor_leave(void)
{
	close(main_thread);
}

/* What can't be read is taken for dead: nobody would answer the container's calls. */
bool supervisor_lives(void)
{
	char text[1024];
	const char *fields;
	unsigned long flags;
	unsigned long pending;
	ssize_t length;

	/* The signal is sent by the main thread's end alone; from then on another may be our parent, or init. */
	if (getppid() != supervisor)
		return false;
	length = pread(main_thread, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return false;
	text[length] = '\0';
	/* The name, in brackets, may hold anything. Fields 3, 9 and 31 of proc_pid_stat(5): state, flags, signal. */
	fields = strrchr(text, ')');
	if (!fields || sscanf(fields + 1,
			      " %*c %*s %*s %*s %*s %*s %lu" /* 9 */
			      " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s" /* to 20 */
			      " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu" /* 31 */,
			      &flags, &pending) != 2)
		return false;
	return !(flags & (FLAG_EXITING | FLAG_SIGNALED)) && !(pending & SIGKILL_PENDING);
}
