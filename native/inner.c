/*
 * From clone3(2) to PID 1 of the container: identity, namespaces, the root. Runs in the new user, pid and uts
 * namespaces; the mount namespace is still the outer process's until everything is staged there. Copying it only then,
 * into a namespace owned by the container, makes the kernel lock the flags and covers of all that was staged
 * (mount_namespaces(7), "Restrictions on mount namespaces").
 */
#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "interceptor-init.h"
#include "kernel.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

/* The parent's end stays open as long as it lives: end-of-file means that it is gone. */
void wait_until_staged(int outer)
{
	struct message message;

	if (receive_message(outer, &message) <= 0 || message.type != MESSAGE_STAGED)
		_exit(125);
}

void take_identity(void)
{
	/* EPERM where setgroups(2) is denied in this user namespace (user_namespaces(7)): no groups to lose then. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		fail(STAGE_IDENTITY, 0);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		fail(STAGE_IDENTITY, 0);
	/* The change of credentials cleared the parent-death signal (prctl(2)). */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(STAGE_IDENTITY, 0);
	/* Whoever possesses the caller's session keyring may use its keys. ENOSYS without keys is as good. */
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

/*
 * A locked mount can't be a new root, hence the bind of the staged tree onto itself. The file systems of our own are
 * mounted before the old root goes: the kernel wants to see a /proc of the outside with nothing hidden in the same
 * mount namespace (mount_too_revealing() in fs/namespace.c).
 */
static void enter_root(const struct plan *plan)
{
	const struct record *stage = plan_find(plan, RECORD_STAGE);
	int root = sys_open_tree(AT_FDCWD, record_string(stage, 0), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (root < 0)
		fail(STAGE_PIVOT, 0);
	if (sys_move_mount(root, "", AT_FDCWD, record_string(stage, 0), MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail(STAGE_PIVOT, 0);
	stage_inside(plan, root);
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		fail(STAGE_PIVOT, 0);
	if (syscall(SYS_umount2, ".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail(STAGE_PIVOT, 0);
	close(root);
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, "lo", sizeof("lo"));
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail(STAGE_LOOPBACK, 0);
	close(fd);
}

void install_deny_filter(const struct plan *plan)
{
	const struct record *deny = plan_find(plan, RECORD_DENY_FILTER);

	if (deny && install_filter(deny, 0) < 0)
		fail(STAGE_DENY_FILTER, 0);
}

/*
 * The command is in the process group that interceptor was started in, where kill(0, signal) reaches whatever else is:
 * a supervisor and a shell of the same user may be signalled by the container's root; and sockets of the abstract
 * namespace belong to the network, which may be the host's. Landlock's scopes keep both inside (Linux 6.12). They restrict
 * nothing else: a right to files among those that are handled would forbid every mount (landlock(7)).
 */
static void keep_signals_and_sockets_inside(void)
{
	const struct {
		uint64_t handled_access_fs;
		uint64_t handled_access_net;
		uint64_t scoped;
	} rules = { .scoped = LANDLOCK_SCOPE_SIGNAL | LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET };
	const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

	if (ruleset < 0)
		return;
	(void)syscall(SYS_landlock_restrict_self, ruleset, 0);
	close(ruleset);
}

_Noreturn void inner_run(const struct inner_context *context)
{
	const struct plan *plan = context->plan;
	const struct record *hostname = plan_find(plan, RECORD_HOSTNAME);

	report_to(INIT_FD);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(STAGE_IDENTITY, 0);
	wait_until_staged(context->outer);
	take_identity();
	if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWIPC) < 0)
		fail(STAGE_NAMESPACES, 0);
	enter_root(plan);
	/* EPERM where an outer container's filter denies the call; a name that nobody asked for is not missed. */
	if (hostname && sethostname(record_string(hostname, 0), strlen(record_string(hostname, 0))) < 0 &&
	    (errno != EPERM || hostname->number != 0))
		fail(STAGE_HOSTNAME, 0);
	if (plan->flags & PLAN_NETWORK_NONE)
		raise_loopback();
	/*
	 * Our memory belongs to the supervisor's user namespace, where execve(2) made it. Not dumpable, it can be
	 * traced, and /proc/1/{exe,fd,root} followed, only with CAP_SYS_PTRACE there, which the container's root lacks.
	 */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		fail(STAGE_IDENTITY, 0);
	if (plan->flags & PLAN_ROOTLESS)
		keep_signals_and_sockets_inside();
	install_deny_filter(plan);
	init_run(context);
}
