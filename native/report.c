/*
 * Messages of 16 bytes over the sockets, and the one way to fail: a stage, a step and errno. The words are in
 * src/container/launch/failure.ts.
 */
#include <errno.h>
#include <sys/socket.h>

#include "interceptor-init.h"
#include "kernel.h"

static int report_fd = CONTROL_FD;

void report_to(int fd)
{
	report_fd = fd;
}

_Noreturn void fail(enum stage stage, uint32_t step)
{
	const struct message message = {
		.type = MESSAGE_FAILED, .a = (int32_t)stage, .b = (int32_t)step, .c = errno,
	};

	(void)send_message(report_fd, &message);
	_exit(125);
}

int send_message(int fd, const struct message *message)
{
	size_t sent = 0;

	while (sent < sizeof(*message)) {
		ssize_t n = send(fd, (const char *)message + sent, sizeof(*message) - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		sent += (size_t)n;
	}
	return 0;
}

/* 1: a message; 0: end of file; -1: errno. Node's sockets are streams, so a record may come in pieces. */
int receive_message(int fd, struct message *message)
{
	size_t received = 0;

	while (received < sizeof(*message)) {
		ssize_t n = recv(fd, (char *)message + received, sizeof(*message) - received, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? 0 : -1;
		if (n == 0)
			return 0;
		received += (size_t)n;
	}
	return 1;
}
