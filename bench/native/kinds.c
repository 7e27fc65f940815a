/* kinds.c: the system calls that a benchmark can make, each with what it must end with and how it is undone. */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A null path: the kernel ends the call at once, so that next to nothing but the notification is timed. */
static long call_unlinkat(struct place *place, size_t i)
{
	(void)place;
	(void)i;
	return syscall(SYS_unlinkat, AT_FDCWD, NULL, 0);
}

/* Asks for a listener of its own: a call that interceptor hands back to the kernel like the one above, and records. */
static long call_recorded(struct place *place, size_t i)
{
	(void)place;
	(void)i;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL);
}

static long call_mknod(struct place *place, size_t i)
{
	/* The library's function: fakeroot sees no other. It makes the system call mknodat. */
	return mknod(place->names[i], S_IFCHR | 0666, makedev(1, 3));
}

/* A device that nobody allows: decided, recorded, and nothing made. */
static long call_refused(struct place *place, size_t i)
{
	(void)i;
	return syscall(SYS_mknodat, AT_FDCWD, place->name, S_IFBLK | 0600, makedev(8, 0));
}

/* Two calls that nobody intercepts. */
static long call_getppid(struct place *place, size_t i)
{
	(void)place;
	(void)i;
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static long call_openat(struct place *place, size_t i)
{
	(void)place;
	(void)i;
	return openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
}

static void after_descriptor(struct place *place, long result)
{
	(void)place;
	if (result >= 0)
		close((int)result);
}

static long call_sysinfo(struct place *place, size_t i)
{
	struct sysinfo info;

	(void)place;
	(void)i;
	return syscall(SYS_sysinfo, &info);
}

/* What a long job does: handed back, recorded, refused and emulated in turn. 0 where each ended as it must. */
static long call_mixed(struct place *place, size_t i)
{
	switch (i % 4) {
	case 0:
		return call_unlinkat(place, i) == -1 && errno == EFAULT ? 0 : -1;
	case 1:
		return call_recorded(place, i) == -1 && errno == EFAULT ? 0 : -1;
	case 2:
		return call_refused(place, i) == -1 && errno == EPERM ? 0 : -1;
	default:
		return call_sysinfo(place, i);
	}
}

static int prepare_file(struct place *place)
{
	int fd = open(place->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int prepare_directory(struct place *place)
{
	return mkdir(place->name, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static long call_setxattr(struct place *place, size_t i)
{
	(void)i;
	return syscall(SYS_setxattr, place->name, "trusted.overlay.opaque", "y", (size_t)1, 0);
}

static long call_mount(struct place *place, size_t i)
{
	(void)i;
	return syscall(SYS_mount, "none", place->name, "tmpfs", 0UL, NULL);
}

static void after_mount(struct place *place, long result)
{
	if (result == 0)
		umount2(place->name, MNT_DETACH);
}

static long call_sched(struct place *place, size_t i)
{
	const struct sched_param param = { .sched_priority = 0 };

	(void)place;
	/* Two policies in turn, so that there is something to change. */
	return syscall(SYS_sched_setscheduler, 0, i % 2 == 0 ? SCHED_BATCH : SCHED_OTHER, &param);
}

/* r0 = 1; exit: a device program that allows everything. */
static long call_bpf(struct place *place, size_t i)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	(void)place;
	(void)i;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (uint64_t)(uintptr_t) "GPL";
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static const struct kind KINDS[] = {
	/* The same call, answered with 0 by a supervisor that looks at nothing. */
	{ .name = "bare", .call = call_unlinkat },
	{ .name = "unlinkat", .expected = EFAULT, .call = call_unlinkat },
	{ .name = "recorded", .expected = EFAULT, .call = call_recorded },
	{ .name = "refused", .expected = EPERM, .call = call_refused },
	{ .name = "mknod", .fresh = 1, .call = call_mknod },
	{ .name = "getppid", .call = call_getppid },
	{ .name = "openat", .call = call_openat, .after = after_descriptor },
	{ .name = "sysinfo", .call = call_sysinfo },
	{ .name = "mixed", .call = call_mixed },
	{ .name = "setxattr", .prepare = prepare_file, .call = call_setxattr },
	{ .name = "mount", .prepare = prepare_directory, .call = call_mount, .after = after_mount },
	{ .name = "sched", .call = call_sched },
	{ .name = "bpf", .call = call_bpf, .after = after_descriptor },
};

const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (strcmp(KINDS[i].name, name) == 0)
			return &KINDS[i];
	return NULL;
}
