/*
 * One call of each family that changes something at a place, a directory, and how that is seen and taken back.
 */
#ifndef FAMILIES_H
#define FAMILIES_H

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "race.h"

enum { PATH_BYTES = 4096, NULL_MAJOR = 1, NULL_MINOR = 3 };

static const char TRUSTED[] = "trusted.overlay.opaque";

struct family {
  const char *name;
  void (*prepare)(const char *place);
  /* As the calls themselves: -1 with errno. */
  int (*act)(const char *place);
  /* The same at a descriptor of the place. */
  int (*act_at)(int place);
  /* How often it was done: 0 or 1, or more, and -1 for something else than was asked for. */
  int (*done)(const char *place);
  void (*undo)(const char *place);
};

/* A block device with an ext4 file system, for the families that mount. */
static const char *mount_source;

static inline const char *below(char *path, const char *place, const char *name) {
  snprintf(path, PATH_BYTES, "%s/%s", place, name);
  return path;
}

static inline void prepare_nothing(const char *place) { (void)place; }

static inline int mknod_act(const char *place) {
  char path[PATH_BYTES];
  return mknod(below(path, place, "n"), S_IFCHR | 0640, makedev(NULL_MAJOR, NULL_MINOR));
}

static inline int mknod_act_at(int place) {
  return mknodat(place, "n", S_IFCHR | 0640, makedev(NULL_MAJOR, NULL_MINOR));
}

static inline int mknod_done(const char *place) {
  char path[PATH_BYTES];
  struct stat found;
  if (lstat(below(path, place, "n"), &found)) return errno == ENOENT ? 0 : -1;
  return S_ISCHR(found.st_mode) && found.st_rdev == makedev(NULL_MAJOR, NULL_MINOR) ? 1 : -1;
}

static inline void mknod_undo(const char *place) {
  char path[PATH_BYTES];
  if (unlink(below(path, place, "n"))) fault("unlink: %s", strerror(errno));
}

static inline void setxattr_prepare(const char *place) {
  char path[PATH_BYTES];
  close(open(below(path, place, "f"), O_WRONLY | O_CREAT, 0644));
}

static inline int setxattr_act(const char *place) {
  char path[PATH_BYTES];
  return setxattr(below(path, place, "f"), TRUSTED, "y", 1, XATTR_CREATE);
}

static inline int setxattr_act_at(int place) {
  int file = openat(place, "f", O_RDONLY);
  if (file < 0) return -1;
  int result = fsetxattr(file, TRUSTED, "y", 1, XATTR_CREATE);
  close(file);
  return result;
}

static inline int setxattr_done(const char *place) {
  char path[PATH_BYTES], value[8];
  ssize_t length = getxattr(below(path, place, "f"), TRUSTED, value, sizeof value);
  if (length < 0) return errno == ENODATA ? 0 : -1;
  return length == 1 && value[0] == 'y' ? 1 : -1;
}

static inline void setxattr_undo(const char *place) {
  char path[PATH_BYTES];
  if (removexattr(below(path, place, "f"), TRUSTED)) fault("removexattr: %s", strerror(errno));
}

static inline void mount_prepare(const char *place) {
  char path[PATH_BYTES];
  mkdir(below(path, place, "m"), 0755);
}

static inline int mount_act(const char *place) {
  char path[PATH_BYTES];
  return mount(mount_source, below(path, place, "m"), "ext4", MS_RDONLY, NULL);
}

static inline int fsmount_of_source(void) {
  int context = (int)syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC), mounted = -1;
  if (context < 0) return -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", mount_source, 0) == 0 &&
      syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0 &&
      syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
  int error = errno;
  close(context);
  errno = error;
  return mounted;
}

static inline int move_new_mount(int place, const char *path) {
  int mounted = fsmount_of_source();
  if (mounted < 0) return -1;
  int result = (int)syscall(SYS_move_mount, mounted, "", place, path, MOVE_MOUNT_F_EMPTY_PATH), error = errno;
  close(mounted);
  errno = error;
  return result;
}

static inline int new_mount_act(const char *place) {
  char path[PATH_BYTES];
  return move_new_mount(AT_FDCWD, below(path, place, "m"));
}

static inline int new_mount_act_at(int place) { return move_new_mount(place, "m"); }

/* Mounts whose target is `m` of this very directory: what is mounted now may cover it. */
static inline int mount_done(const char *place) {
  char path[PATH_BYTES], line[2 * PATH_BYTES], target[PATH_BYTES];
  int found = 0;
  FILE *mounts = fopen("/proc/thread-self/mountinfo", "re");
  if (!mounts || !realpath(below(path, place, "m"), target)) give_up("mountinfo");
  while (fgets(line, sizeof line, mounts)) {
    char at[PATH_BYTES];
    found += sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 && strcmp(at, target) == 0;
  }
  fclose(mounts);
  return found;
}

static inline void mount_undo(const char *place) {
  char path[PATH_BYTES];
  if (umount2(below(path, place, "m"), MNT_DETACH)) fault("umount: %s", strerror(errno));
}

/* Of this thread: no place counts. */
static inline int sched_act(const char *place) {
  (void)place;
  return sched_setscheduler(0, SCHED_RR, &(struct sched_param){1});
}

static inline int sched_done(const char *place) {
  (void)place;
  return sched_getscheduler(0) == SCHED_RR;
}

static inline void sched_undo(const char *place) {
  (void)place;
  if (sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0})) fault("SCHED_OTHER: %s", strerror(errno));
}

static const struct family families[] = {
  {"mknod", prepare_nothing, mknod_act, mknod_act_at, mknod_done, mknod_undo},
  {"setxattr", setxattr_prepare, setxattr_act, setxattr_act_at, setxattr_done, setxattr_undo},
  {"mount", mount_prepare, mount_act, new_mount_act_at, mount_done, mount_undo},
  {"new-mount", mount_prepare, new_mount_act, new_mount_act_at, mount_done, mount_undo},
  {"sched", prepare_nothing, sched_act, NULL, sched_done, sched_undo},
};

static inline const struct family *family_named(const char *name) {
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (strcmp(families[i].name, name) == 0) return &families[i];
  fprintf(stderr, "no family %s\n", name);
  exit(2);
}

#endif
