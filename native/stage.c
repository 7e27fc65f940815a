/*
 * The steps that build the container's file system. The outer process makes what the container must not be able to
 * undo; PID 1 makes what belongs to its own namespaces (proc, devpts, mqueue, sysfs). Targets are resolved below the
 * new root with RESOLVE_IN_ROOT (openat2(2)): the tree of --rootfs is hostile content and its links must not lead out.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "interceptor-init.h"
#include "kernel.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

enum { STEPS_MAX = 1024 };

/* An O_PATH descriptor, or -1 and errno. */
int target_open(int root, const char *path)
{
	return sys_openat2(root, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static void attach(int tree, int root, const struct record *step, const char *path)
{
	int target = target_open(root, path);

	if (target < 0)
		fail(STAGE_TARGET, step->step);
	if (sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		fail(STAGE_ATTACH, step->step);
	close(target);
}

/* Somebody may have put something else at the path of what was looked at before. */
static void require_identity(int fd, const struct record *step)
{
	const char *wanted = record_string(step, step->kind == RECORD_ROOT ? 1 : 2);
	char found[64];
	struct stat status;

	if (!*wanted)
		return;
	if (fstat(fd, &status) < 0)
		fail(STAGE_SOURCE, step->step);
	snprintf(found, sizeof(found), "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
	if (strcmp(found, wanted) != 0) {
		errno = ESTALE;
		fail(STAGE_SOURCE, step->step);
	}
}

/*
 * A detached copy of the source with its flags set. Private, not a slave: what the host mounts later would otherwise
 * appear below a read-only root with the host's flags.
 */
static int source_open(const struct record *step, int user_namespace)
{
	const unsigned int recursive = step->flags & RECORD_RECURSIVE ? AT_RECURSIVE : 0;
	struct mount_attr attr = { .attr_set = step->number, .propagation = MS_PRIVATE };
	int tree = sys_open_tree(AT_FDCWD, record_string(step, 0), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);

	if (tree < 0)
		fail(STAGE_SOURCE, step->step);
	require_identity(tree, step);
	if (sys_mount_setattr(tree, recursive, &attr) < 0)
		fail(STAGE_FLAGS, step->step);
	if (step->flags & RECORD_IDMAP) {
		struct mount_attr idmap = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned int)user_namespace };

		if (sys_mount_setattr(tree, recursive, &idmap) < 0)
			fail(STAGE_IDMAP, step->step);
	}
	return tree;
}

static void mount_file_system(const struct record *step, int root)
{
	const char *type = record_string(step, 0);
	const char *path = record_string(step, 1);
	int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int tree;

	if (context < 0)
		fail(STAGE_FILE_SYSTEM, step->step);
	for (unsigned int i = 2;; i += 2) {
		const char *key = record_string(step, i);
		const char *value = key ? record_string(step, i + 1) : NULL;
		long done;

		if (!value)
			break;
		if (*value)
			done = syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
		else
			done = syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, NULL, 0);
		if (done < 0)
			fail(STAGE_FILE_SYSTEM, step->step);
	}
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		fail(STAGE_FILE_SYSTEM, step->step);
	tree = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, step->number);
	if (tree < 0)
		fail(STAGE_FILE_SYSTEM, step->step);
	close(context);
	attach(tree, root, step, path);
	close(tree);
}

/*
 * Creating is done with the file-system ids of the container's root: where it could not have made the entry neither
 * can we (setfsuid(2) also drops the DAC capabilities), and what appears belongs to it.
 */
static int create_at(const struct plan *plan, int parent, const char *name, const struct record *step, mode_t mode)
{
	int done;
	int error;

	setfsgid(plan->root_gid);
	setfsuid(plan->root_uid);
	if (S_ISDIR(mode))
		done = mkdirat(parent, name, mode & 07777);
	else if (S_ISLNK(mode))
		done = symlinkat(record_string(step, 1), parent, name);
	else
		done = mknodat(parent, name, S_IFREG | (mode & 07777), 0);
	error = errno;
	setfsuid(geteuid());
	setfsgid(getegid());
	errno = error;
	return done;
}

/* Makes the entry with its missing ancestors. What exists stays as it is. */
static void create_target(const struct plan *plan, int root, const struct record *step, mode_t mode)
{
	char path[PATH_MAX];
	const char *target = record_string(step, 0);
	const size_t length = strlen(target);
	size_t end = 0;
	int parent;

	if (length >= sizeof(path)) {
		errno = ENAMETOOLONG;
		fail(STAGE_CREATE, step->step);
	}
	parent = target_open(root, "/");
	while (parent >= 0 && end < length) {
		size_t start = end;
		int next;

		while (start < length && target[start] == '/')
			start++;
		end = start;
		while (end < length && target[end] != '/')
			end++;
		if (start == end)
			break;
		memcpy(path, target, end);
		path[end] = '\0';
		next = target_open(root, path);
		if (next < 0 && errno == ENOENT) {
			const mode_t made = end == length ? mode : (S_IFDIR | 0755);

			if (create_at(plan, parent, path + start, step, made) < 0 &&
			    !(S_ISLNK(made) && errno == EEXIST))
				fail(STAGE_CREATE, step->step);
			if (S_ISLNK(made))
				break;
			next = target_open(root, path);
		}
		close(parent);
		parent = next;
	}
	if (parent < 0)
		fail(STAGE_CREATE, step->step);
	close(parent);
}

static void seal(int root, const struct record *step)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int target = target_open(root, record_string(step, 0));

	if (target < 0)
		fail(STAGE_TARGET, step->step);
	if (sys_mount_setattr(target, 0, &attr) < 0)
		fail(STAGE_FLAGS, step->step);
	close(target);
}

/*
 * A device node of our own over the target, which exists: on a tmpfs that nothing else shows, because the host's own node
 * belongs to ids that the container does not have, and because /dev may be nodev. Read-only, which keeps nobody from
 * opening the device (mnt_want_write() is not asked for it), but holds its owner and permissions: what the container opened
 * with O_PATH can be passed to a user of the host, outlives the container, and is opened there under no device rule.
 */
static void attach_node(const struct plan *plan, int root, const struct record *step)
{
	const char *place = record_string(plan_find(plan, RECORD_STAGE), 0);
	const dev_t device = (dev_t)strtoull(record_string(step, 1), NULL, 10);
	const uid_t uid = (uid_t)strtoul(record_string(step, 2), NULL, 10);
	const gid_t gid = (gid_t)strtoul(record_string(step, 3), NULL, 10);
	struct mount_attr fixed = { .attr_set = MOUNT_ATTR_RDONLY };
	int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int scratch;
	int tree;

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "4k", 0) < 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		fail(STAGE_FILE_SYSTEM, step->step);
	scratch = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (scratch < 0)
		fail(STAGE_FILE_SYSTEM, step->step);
	close(context);
	if (mknodat(scratch, "node", step->number & S_IFMT, device) < 0 ||
	    fchownat(scratch, "node", uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(scratch, "node", step->number & 07777, 0) < 0)
		fail(STAGE_CREATE, step->step);
	/* Before 6.15 only what is attached can be cloned: over the new root, for a moment. */
	if (sys_move_mount(scratch, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail(STAGE_ATTACH, step->step);
	tree = sys_open_tree(scratch, "node", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || syscall(SYS_umount2, place, MNT_DETACH) < 0)
		fail(STAGE_ATTACH, step->step);
	if (sys_mount_setattr(tree, 0, &fixed) < 0)
		fail(STAGE_FLAGS, step->step);
	close(scratch);
	attach(tree, root, step, record_string(step, 0));
	close(tree);
}

static void stage_step(const struct plan *plan, const struct record *step, int root, int tree)
{
	switch ((enum record_kind)step->kind) {
	case RECORD_BIND:
		attach(tree, root, step, record_string(step, 1));
		break;
	case RECORD_MOUNT:
		mount_file_system(step, root);
		break;
	case RECORD_DIRECTORY:
		create_target(plan, root, step, S_IFDIR | (step->number & 07777));
		break;
	case RECORD_FILE:
		create_target(plan, root, step, S_IFREG | (step->number & 07777));
		break;
	case RECORD_SYMLINK:
		create_target(plan, root, step, S_IFLNK);
		break;
	case RECORD_SEAL:
		seal(root, step);
		break;
	case RECORD_NODE:
		attach_node(plan, root, step);
		break;
	case RECORD_ROOT:
	case RECORD_STAGE:
	case RECORD_HOSTNAME:
	case RECORD_WORKDIR:
	case RECORD_ENVIRONMENT:
	case RECORD_ARGUMENT:
	case RECORD_CANDIDATE:
	case RECORD_REMOVE:
	case RECORD_DENY_FILTER:
	case RECORD_NOTIFY_FILTER:
	case RECORD_LIMIT:
	default:
		break;
	}
}

/*
 * Sources are opened before anything is attached, because the place where the root is attached may hide some. In the
 * outer process nothing is freed: its mount namespace is where all this lives until it exits.
 */
void stage_outside(const struct plan *plan, int user_namespace)
{
	static int trees[STEPS_MAX];
	const struct record *stage = plan_find(plan, RECORD_STAGE);
	const struct record *step;
	unsigned int count = 0;
	int root = -1;

	for (step = plan_first(plan); step; step = plan_next(plan, step)) {
		if ((step->kind != RECORD_ROOT && step->kind != RECORD_BIND) || step->flags & RECORD_INSIDE)
			continue;
		if (count == STEPS_MAX) {
			errno = E2BIG;
			fail(STAGE_SOURCE, step->step);
		}
		trees[count++] = source_open(step, user_namespace);
	}
	umask(0);
	/* No group of ours may help create_at(). EPERM where setgroups(2) is denied: the groups are the user's own. */
	(void)setgroups(0, NULL);
	count = 0;
	for (step = plan_first(plan); step; step = plan_next(plan, step)) {
		int tree = -1;

		if (step->flags & RECORD_INSIDE)
			continue;
		if (step->kind == RECORD_ROOT || step->kind == RECORD_BIND)
			tree = trees[count++];
		if (step->kind == RECORD_ROOT && root < 0 && stage) {
			if (sys_move_mount(tree, "", AT_FDCWD, record_string(stage, 0), MOVE_MOUNT_F_EMPTY_PATH) < 0)
				fail(STAGE_ATTACH, step->step);
			root = tree;
			continue;
		}
		stage_step(plan, step, root, tree);
		if (tree >= 0)
			close(tree);
	}
	if (root < 0) {
		errno = EBADMSG;
		fail(STAGE_PLAN, 0);
	}
	close(root);
}

void stage_inside(const struct plan *plan, int root)
{
	for (const struct record *step = plan_first(plan); step; step = plan_next(plan, step)) {
		int tree = -1;

		if (!(step->flags & RECORD_INSIDE))
			continue;
		/* Over a file system of the container's own: the old root, and with it the source, is still there. */
		if (step->kind == RECORD_BIND)
			tree = source_open(step, -1);
		stage_step(plan, step, root, tree);
		if (tree >= 0)
			close(tree);
	}
}
