/*
 * Copies a mount namespace into one that a user namespace of its own owns, and hands back a mount of it. The copy locks
 * the flags of every mount (lock_mnt_tree() in fs/namespace.c): what is attached in a container then can't be stripped of
 * nodev and nosuid there. Node can't do this itself: unshare(2) of a user namespace wants a single thread.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "interceptor-init.h"
#include "kernel.h"

/* Descriptors that src/intercept/families/mount/private-mount-namespace.ts hands over. */
enum { ANSWER_FD = 3, NAMESPACE_FD = 4 };

static int send_descriptor(int socket, int fd)
{
	char byte = 0;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Ends with 0, or with the errno of what failed. */
_Noreturn void lock_run(const char *path)
{
	int tree;

	if (setns(NAMESPACE_FD, CLONE_NEWNS) < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(errno);
	tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || send_descriptor(ANSWER_FD, tree) < 0)
		_exit(errno);
	_exit(0);
}
