/*
 * terminal: runs a command with a terminal as its standard error, and reads what is written there, as fast as it comes.
 *
 *     terminal COMMAND [ARG...]
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "terminal: cannot %s: %s\n", what, strerror(errno));
	_exit(125);
}

int main(int argc, char **argv)
{
	static char bytes[65536];
	int master, slave, status;
	pid_t pid;

	if (argc < 2) {
		fputs("usage: terminal COMMAND [ARG...]\n", stderr);
		return 2;
	}
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		die("make a terminal");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		die("open the terminal");
	pid = fork();
	if (pid < 0)
		die("start a process");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
		if (dup2(slave, 2) < 0)
			_exit(125);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	close(slave);
	close(0);
	close(1);
	/* EIO says that nobody has the other side open any more. */
	while (read(master, bytes, sizeof(bytes)) > 0 || errno == EINTR)
		;
	if (waitpid(pid, &status, 0) < 0)
		die("wait for the command");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
