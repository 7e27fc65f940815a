/*
 * perform.c: the least that a safe emulation asks of the kernel: what is read of the caller is followed by a look
 * whether it still waits, and what is done in its place is done once, with its ids and the one capability. The ids stay
 * until those of another caller are needed.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, STATUS_FILES = 64, GROUPS_MAX_READ = 64, PRIVATE_SECUREBITS = 0x4 /* SECBIT_NO_SETUID_FIXUP */ };

#define BIT(capability) (UINT64_C(1) << (capability))
#define REST (BIT(CAP_SYS_PTRACE) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_CHROOT))

struct credentials {
	uid_t fsuid;
	gid_t fsgid;
	mode_t mask;
	uint64_t effective;
	size_t group_count;
	gid_t groups[GROUPS_MAX_READ];
};

static uint64_t permitted;
static mode_t own_mask;

void answer_zero(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response)
{
	(void)listener;
	(void)notice;
	(void)response;
}

void answer_continue(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response)
{
	(void)listener;
	(void)notice;
	response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

static void set_effective(uint64_t effective)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)effective, .permitted = (uint32_t)permitted },
		{ .effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32) },
	};

	if (syscall(SYS_capset, &header, data) < 0) {
		perror("loop: cannot change capabilities");
		_exit(125);
	}
}

void prepare_identity(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	unshare(CLONE_FS);
	own_mask = umask(022);
	umask(own_mask);
	/* As a service has none. */
	syscall(SYS_setgroups, 0, NULL);
	syscall(SYS_capget, &header, data);
	permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	prctl(PR_SET_SECUREBITS, PRIVATE_SECUREBITS, 0, 0, 0);
	set_effective(REST & permitted);
}

static bool is_valid(int listener, const struct seccomp_notif *notice)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notice->id) == 0;
}

/* Page by page: the next one may be absent. */
static bool read_path(pid_t tid, uint64_t address, char *path)
{
	for (size_t done = 0; done < PAGE_BYTES;) {
		const size_t wanted = PAGE_BYTES - (address + done) % PAGE_BYTES;
		struct iovec local = { path + done, wanted < PAGE_BYTES - done ? wanted : PAGE_BYTES - done };
		struct iovec remote = { (void *)(uintptr_t)(address + done), local.iov_len };
		const ssize_t count = process_vm_readv(tid, &local, 1, &remote, 1, 0);

		if (count <= 0)
			return false;
		if (memchr(path + done, '\0', (size_t)count) != NULL)
			return true;
		done += (size_t)count;
	}
	return false;
}

/* Files of /proc/TID/status stay open, as the same few threads call again and again. */
static ssize_t read_status(pid_t tid, char *text, size_t size)
{
	static struct { pid_t tid; int fd; } files[STATUS_FILES];
	const size_t slot = (size_t)tid % STATUS_FILES;
	char path[64];

	if (files[slot].tid != tid) {
		if (files[slot].tid != 0)
			close(files[slot].fd);
		snprintf(path, sizeof(path), "/proc/%d/status", tid);
		files[slot].fd = open(path, O_RDONLY | O_CLOEXEC);
		files[slot].tid = tid;
	}
	return pread(files[slot].fd, text, size, 0);
}

static const char *field(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found == NULL ? "" : found + strlen(name);
}

static bool read_credentials(pid_t tid, struct credentials *credentials)
{
	char text[8192], *next;
	const char *groups;
	const ssize_t length = read_status(tid, text, sizeof(text) - 1);

	if (length <= 0)
		return false;
	text[length] = '\0';
	credentials->mask = (mode_t)strtoul(field(text, "\nUmask:\t"), NULL, 8);
	if (sscanf(field(text, "\nUid:\t"), "%*u %*u %*u %u", &credentials->fsuid) != 1 ||
	    sscanf(field(text, "\nGid:\t"), "%*u %*u %*u %u", &credentials->fsgid) != 1)
		return false;
	credentials->effective = strtoull(field(text, "\nCapEff:\t"), NULL, 16);
	groups = field(text, "\nGroups:\t");
	for (credentials->group_count = 0; credentials->group_count < GROUPS_MAX_READ; credentials->group_count++) {
		const unsigned long group = strtoul(groups, &next, 10);

		if (next == groups || memchr(groups, '\n', (size_t)(next - groups)) != NULL)
			break;
		credentials->groups[credentials->group_count] = (gid_t)group;
		groups = next;
	}
	return true;
}

/* The C library's own functions would change every thread. */
static void become(const struct credentials *to, uint64_t capabilities)
{
	static struct credentials worn;

	if (to->mask != own_mask) {
		umask(to->mask);
		own_mask = to->mask;
	}
	if (to->group_count != worn.group_count ||
	    memcmp(to->groups, worn.groups, to->group_count * sizeof(to->groups[0])) != 0)
		syscall(SYS_setgroups, to->group_count, to->groups);
	if (to->fsgid != worn.fsgid)
		syscall(SYS_setfsgid, to->fsgid);
	if (to->fsuid != worn.fsuid)
		syscall(SYS_setfsuid, to->fsuid);
	worn = *to;
	set_effective(capabilities & permitted);
}

static int fail(struct seccomp_notif_resp *response, int error)
{
	response->error = -error;
	return -1;
}

static int open_cwd(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cwd", tid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int read_caller(int listener, const struct seccomp_notif *notice, char *path, struct credentials *credentials)
{
	const pid_t tid = (pid_t)notice->pid;
	char name[64], home[64];

	if (!read_path(tid, notice->data.args[1], path))
		return -1;
	snprintf(name, sizeof(name), "/proc/%d/ns/user", tid);
	if (readlink(name, home, sizeof(home)) < 0)
		return -1;
	/* It never waits again once it does not: one look is enough for all three. */
	if (!read_credentials(tid, credentials) || !is_valid(listener, notice))
		return -1;
	return (credentials->effective & BIT(CAP_MKNOD)) != 0 ? 0 : -1;
}

/* A relative path of one component, which is what the benchmark calls with. */
void perform_mknod(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response)
{
	char path[PAGE_BYTES];
	struct credentials credentials;
	struct statx status;
	int cwd, error;

	if (read_caller(listener, notice, path, &credentials) < 0) {
		fail(response, EPERM);
		return;
	}
	cwd = open_cwd((pid_t)notice->pid);
	if (cwd < 0 || !is_valid(listener, notice)) {
		fail(response, EPERM);
		return;
	}
	become(&credentials, BIT(CAP_MKNOD));
	/* A plain name: the call itself finds the directory. */
	error = syscall(SYS_mknodat, cwd, path, notice->data.args[2], notice->data.args[3]) < 0 ? errno : 0;
	if (error == 0)
		statx(cwd, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);
	set_effective(REST & permitted);
	close(cwd);
	response->error = -error;
}

void perform_sysinfo(int listener, const struct seccomp_notif *notice, struct seccomp_notif_resp *response)
{
	const pid_t tid = (pid_t)notice->pid;
	struct sysinfo info;
	struct iovec local = { &info, sizeof(info) };
	struct iovec remote = { (void *)(uintptr_t)notice->data.args[0], sizeof(info) };
	struct timespec now;

	sysinfo(&info);
	clock_gettime(CLOCK_BOOTTIME, &now);
	if (!is_valid(listener, notice) || process_vm_writev(tid, &local, 1, &remote, 1, 0) < 0)
		fail(response, EFAULT);
}
