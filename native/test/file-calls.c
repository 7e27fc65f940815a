/*
 * Makes system calls on files in the order of its arguments and prints what each answered: one line a word, the word
 * and then 0, a negative errno, or what was asked for. Words are `name:argument:...`; see `run` for the names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "calls.h"

#define MAX_PARTS 8

static int parent_fd = AT_FDCWD;

static dev_t device(char **part) { return makedev((unsigned)number(part[3]), (unsigned)number(part[4])); }

/* Opens without side effects on a terminal; writes or reads a byte where `how` says so. */
static long use(const char *path, const char *how) {
  int flags = strchr(how, 'w') ? O_WRONLY : O_RDONLY;
  int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -errno;
  char byte = 1;
  long result = flags == O_WRONLY ? answer(write(fd, &byte, 1)) : answer(read(fd, &byte, 1));
  close(fd);
  return strchr(how, 'o') ? 0 : result;
}

static long show(const char *path) {
  struct stat s;
  if (lstat(path, &s)) return -errno;
  printf("%o %u:%u %u:%u %lu ", s.st_mode, s.st_uid, s.st_gid, major(s.st_rdev), minor(s.st_rdev),
         (unsigned long)s.st_nlink);
  return 0;
}

static long run(char **part, char **rest) {
  const char *name = part[0];
#define IS(text) (!strcmp(name, text))
  if (IS("mknod")) return answer(syscall(SYS_mknodat, AT_FDCWD, part[1], number(part[2]), device(part)));
  if (IS("mknodat")) return answer(syscall(SYS_mknodat, parent_fd, part[1], number(part[2]), device(part)));
#ifdef SYS_mknod
  if (IS("oldmknod")) return answer(syscall(SYS_mknod, part[1], number(part[2]), device(part)));
#endif
  if (IS("dirfd")) return (parent_fd = open(part[1], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 ? -errno : 0;
  if (IS("use")) return use(part[1], part[2]);
  if (IS("stat")) return show(part[1]);
  if (IS("unlink")) return answer(unlinkat(AT_FDCWD, part[1], 0));
  if (IS("unlinkat")) return answer(unlinkat(parent_fd, part[1], 0));
  if (IS("rmdir")) return answer(unlinkat(AT_FDCWD, part[1], AT_REMOVEDIR));
  if (IS("rename")) return answer(renameat2(AT_FDCWD, part[1], AT_FDCWD, part[2], (unsigned)number(part[3])));
  if (IS("link")) return answer(linkat(AT_FDCWD, part[1], AT_FDCWD, part[2], 0));
  if (IS("symlink")) return answer(symlink(part[1], part[2]));
  if (IS("mkdir")) return answer(mkdir(part[1], (mode_t)number(part[2])));
  if (IS("create")) return close(open(part[1], O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)number(part[2]))) ? -errno : 0;
  if (IS("chmod")) return answer(chmod(part[1], (mode_t)number(part[2])));
  if (IS("chown")) return answer(lchown(part[1], (uid_t)number(part[2]), (gid_t)number(part[3])));
  if (IS("umask")) return umask((mode_t)number(part[1])), 0;
  if (IS("chdir")) return answer(chdir(part[1]));
  if (IS("chroot")) return answer(chroot(part[1]));
  if (IS("tmpfs")) return answer(mount("none", part[1], "tmpfs", 0, NULL));
  if (IS("bindmount")) return answer(mount(part[1], part[2], NULL, MS_BIND, NULL));
  if (IS("groups")) {
    gid_t group = (gid_t)number(part[1]);
    return answer(syscall(SYS_setgroups, 1, &group));
  }
  if (IS("fsids")) return setfsgid((gid_t)number(part[2])), setfsuid((uid_t)number(part[1])), 0;
  if (IS("ids")) {
    /* The thread alone, and it keeps no capability unless its user is 0. */
    long result = syscall(SYS_setresgid, number(part[2]), number(part[2]), number(part[2]));
    if (!result) result = syscall(SYS_setresuid, number(part[1]), number(part[1]), number(part[1]));
    return answer(result);
  }
  if (IS("drop")) return set_capability((int)number(part[1]), 0);
  if (IS("raise")) return set_capability((int)number(part[1]), 1);
  if (IS("unshare")) return answer(unshare((int)number(part[1])));
  if (IS("thread")) {
    pthread_t thread;
    puts("0");
    fflush(stdout);
    if (pthread_create(&thread, NULL, run_in_thread, rest)) return -EAGAIN;
    pthread_join(thread, NULL);
    fflush(stdout);
    _exit(0);
  }
  return -ENOSYS;
}

static void run_all(char **words) {
  for (; *words; words++) {
    char *copy = strdup(*words), *part[MAX_PARTS] = {0};
    size_t count = 0;
    for (char *at = copy; at && count < MAX_PARTS; count++) {
      part[count] = at;
      at = strchr(at, ':');
      if (at) *at++ = 0;
    }
    for (; count < MAX_PARTS; count++) part[count] = "";
    printf("%s ", part[0]);
    printf("%ld\n", run(part, words + 1));
    fflush(stdout);
    free(copy);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  run_all(argv + 1);
  return 0;
}
