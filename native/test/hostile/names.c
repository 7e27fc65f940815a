/*
 * names SECONDS [mounts]: several threads make nodes of a few names, rename, link and remove them, and change their modes
 * and owners, all of the same names at once. No call fails in a way that the kernel's own nodes do not, and in the end
 * nothing is left under any name, and nothing is mounted there.
 *
 * With `mounts` nodes are mounts over empty files, which can be seen for a moment before: a call on a name that becomes a
 * node just then is the kernel's to answer, and it may say what it says of mount points.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "families.h"

enum { WORKERS = 4, NAMES = 4 };

static const char *const names[NAMES] = {"a", "b", "c", "d"};

struct operation {
  const char *name;
  int (*act)(const char *one, const char *other);
  /* What may come of it, beside success. */
  int errors[4];
};

static int make(const char *one, const char *other) {
  (void)other;
  return mknod(one, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR));
}
static int erase(const char *one, const char *other) {
  (void)other;
  return unlink(one);
}
static int replace(const char *one, const char *other) { return rename(one, other); }
static int swap_names(const char *one, const char *other) {
  return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
}
static int keep(const char *one, const char *other) {
  return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 1 /* RENAME_NOREPLACE */);
}
static int add_name(const char *one, const char *other) { return link(one, other); }
static int change_mode(const char *one, const char *other) {
  (void)other;
  return chmod(one, 0644);
}
static int change_owner(const char *one, const char *other) {
  (void)other;
  return lchown(one, 0, 0);
}
static int are_mounts;

static int look(const char *one, const char *other) {
  struct stat found;
  (void)other;
  if (lstat(one, &found)) return -1;
  if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(NULL_MAJOR, NULL_MINOR)) return 0;
  if (!are_mounts || !S_ISREG(found.st_mode) || found.st_size) fault("%s has mode %o", one, found.st_mode);
  return 0;
}

static const struct operation operations[] = {
  {"mknod", make, {EEXIST}},
  {"mknod", make, {EEXIST}},
  {"unlink", erase, {ENOENT}},
  {"rename", replace, {ENOENT}},
  {"exchange", swap_names, {ENOENT}},
  {"noreplace", keep, {ENOENT, EEXIST}},
  {"link", add_name, {ENOENT, EEXIST}},
  {"chmod", change_mode, {ENOENT}},
  {"lchown", change_owner, {ENOENT}},
  {"lstat", look, {ENOENT}},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static int is_expected(const struct operation *operation, int error) {
  if (are_mounts && (error == EBUSY || error == EPERM || error == EXDEV)) return 1;
  for (size_t i = 0; i < sizeof operation->errors / sizeof *operation->errors; i++)
    if (operation->errors[i] == error) return 1;
  return 0;
}

static void *work(void *unused) {
  while (race_is_on()) {
    const struct operation *operation = &operations[draw_below(OPERATIONS)];
    const char *one = names[draw_below(NAMES)], *other = names[draw_below(NAMES)];
    int result = operation->act(one, other);
    if (result && !is_expected(operation, errno)) fault("%s: %s", operation->name, strerror(errno));
    counts->effects += result == 0;
    counts->rounds++;
  }
  return unused;
}

static void check_nothing_is_left(void) {
  char line[2 * PATH_BYTES], here[PATH_BYTES];
  FILE *mounts = fopen("/proc/thread-self/mountinfo", "re");
  DIR *directory = opendir(".");
  if (!mounts || !directory || !getcwd(here, sizeof here - 2)) give_up("mountinfo");
  strcat(here, "/");
  for (struct dirent *entry; (entry = readdir(directory));)
    if (entry->d_name[0] != '.') fault("%s is left", entry->d_name);
  while (fgets(line, sizeof line, mounts))
    if (strstr(line, here)) fault("mounted: %s", line);
  fclose(mounts);
  closedir(directory);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  race_begin(words[1]);
  are_mounts = count > 2;
  for (int i = 0; i < WORKERS; i++) race_thread(work, NULL);
  for (unsigned int i = 0; i < race_thread_count; i++) pthread_join(race_threads[i], NULL);
  race_thread_count = 0;
  for (int i = 0; i < NAMES; i++)
    if (unlink(names[i]) && errno != ENOENT) fault("unlink: %s", strerror(errno));
  check_nothing_is_left();
  return race_end();
}
