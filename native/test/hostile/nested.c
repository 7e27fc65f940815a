/*
 * nested SECONDS FAMILY [SOURCE]: callers in namespaces below the container's. Root of a user namespace of its own has
 * every capability there and none in the container's: nothing is done for it. Root of the container in a new pid or mount
 * namespace, or in a jail that it made by chroot(2) or pivot_root(2), is root of the container, and it is done once, where
 * it stands.
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "families.h"

static const struct family *family;
static char own[PATH_BYTES];

static void write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) give_up(path);
  close(fd);
}

static void expect(const char *place, int is_done) {
  int result = family->act(place), error = errno, times = family->done(place);
  if (times != (result == 0) || (result == 0) != is_done)
    fault("answered %s, and was done %d times", result ? strerror(error) : "0", times);
  if (times > 0) family->undo(place);
  counts->rounds++;
  counts->effects += result == 0;
}

static void be_nested_root(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) give_up("unshare");
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", "0 0 1");
  write_text("/proc/self/gid_map", "0 0 1");
  expect(own, 0);
}

static void be_in_namespaces(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)) give_up("unshare");
  pid_t pid = fork();
  if (pid == 0) {
    expect(own, 1);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
}

static void go_to_jail(void) {
  if (chroot(own) || chdir("/")) give_up("chroot");
  expect(".", 1);
  expect("/", 1);
  expect("../..", 1);
}

/* The old root stays below the new one, and is left. */
static void pivot(void) {
  if (unshare(CLONE_NEWNS) || mount(own, own, NULL, MS_BIND, NULL) || chdir(own)) give_up("bind");
  mkdir("old", 0755);
  if (syscall(SYS_pivot_root, ".", "old") || chdir("/")) give_up("pivot_root");
  expect("/", 1);
  if (umount2("/old", MNT_DETACH)) give_up("umount");
  expect("/", 1);
}

/* What another process of the container has: the same root, by way of its namespaces. */
static void join_first(void) {
  int namespaces = open("/proc/self/ns/mnt", O_RDONLY);
  if (namespaces < 0 || unshare(CLONE_NEWNS) || setns(namespaces, CLONE_NEWNS) || chdir(own)) give_up("setns");
  expect(own, 1);
}

static void in_child(void (*body)(void)) {
  int status;
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid == 0) {
    body();
    _exit(0);
  }
  if (waitpid(pid, &status, 0) != pid || status != 0) fault("a child ended with status %#x", status);
}

/* mount_done() looks into /proc, which a jail has not. */
static int sees_proc(void) { return strstr(family->name, "mount") == NULL; }

static void *nest(void *unused) {
  while (race_is_on()) {
    in_child(be_nested_root);
    in_child(be_in_namespaces);
    in_child(join_first);
    if (sees_proc()) {
      in_child(go_to_jail);
      in_child(pivot);
    }
  }
  return unused;
}

int main(int count, char **words) {
  if (count < 3 || !getcwd(own, sizeof own - 8)) return 2;
  race_begin(words[1]);
  family = family_named(words[2]);
  mount_source = words[3];
  strcat(own, "/own");
  mkdir(own, 0755);
  family->prepare(own);
  nest(NULL);
  return race_end();
}
