/*
 * swaps SECONDS FAMILY KIND FOREIGN [SOURCE]: one thread makes a call at a place of its own, over and over, while another
 * puts FOREIGN in that place, a directory where the container may change nothing, and takes it away again. Kinds:
 *   link        a symbolic link, whose target changes
 *   exchange    renameat2(2) with RENAME_EXCHANGE of a directory and a link
 *   mount       a bind mount that comes and goes
 *   directory   the working directory, which the threads share
 *   root        the root directory, which the threads share
 *   descriptor  the number of the descriptor that the call names
 * Each call that succeeds has done it once, at the own place; each that fails has not. Whoever started this looks whether
 * FOREIGN is as it was: the mount families, which may mount over any directory of the container, are seen there too.
 */
#define _GNU_SOURCE
#include "families.h"

static const struct family *family;
static const char *foreign;
static char home[PATH_BYTES / 2], own[PATH_BYTES], jail[PATH_BYTES], jailed[2 * PATH_BYTES];
static int own_fd, foreign_fd, root_fd, named_fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct kind {
  const char *name;
  const char *place;
  /* The own directory, or FOREIGN, is at the place. */
  void (*come)(void);
  void (*go)(void);
};

static void link_to(const char *target) {
  if (symlink(target, "next") || rename("next", "here")) give_up("link");
}
static void link_own(void) { link_to("own"); }
static void link_foreign(void) { link_to(foreign); }

static int is_exchanged;
static void exchange(void) {
  if (syscall(SYS_renameat2, AT_FDCWD, "own", AT_FDCWD, "other", 2 /* RENAME_EXCHANGE */)) give_up("renameat2");
  is_exchanged = !is_exchanged;
}
static void exchange_back(void) {
  if (is_exchanged) exchange();
}

static int is_covered;
static void cover(void) {
  if (mount(foreign, "own", NULL, MS_BIND, NULL)) give_up("bind");
  is_covered = 1;
}
static void uncover(void) {
  if (is_covered && umount2("own", MNT_DETACH)) give_up("umount");
  is_covered = 0;
}

static void enter(int directory) {
  if (fchdir(directory)) give_up("fchdir");
}
static void enter_own(void) { enter(own_fd); }
static void enter_foreign(void) { enter(foreign_fd); }

static void leave_jail(void) {
  if (fchdir(root_fd) || chroot(".") || chdir(home)) give_up("chroot");
}
static void enter_jail(void) {
  if (chroot(jail)) give_up("chroot");
}

static void name_fd(int fd) {
  if (dup3(fd, named_fd, O_CLOEXEC) < 0) give_up("dup3");
}
static void name_own(void) { name_fd(own_fd); }
static void name_foreign(void) { name_fd(foreign_fd); }

static const struct kind kinds[] = {
  {"link", "here", link_own, link_foreign},
  {"exchange", "own", exchange_back, exchange},
  {"mount", "own", uncover, cover},
  {"directory", ".", enter_own, enter_foreign},
  {"root", own, leave_jail, enter_jail},
  {"descriptor", NULL, name_own, name_foreign},
};

static const struct kind *kind;

static void *swap(void *unused) {
  while (race_is_on()) {
    pthread_mutex_lock(&lock);
    kind->go();
    pthread_mutex_unlock(&lock);
    pause_below(100);
    pthread_mutex_lock(&lock);
    kind->come();
    pthread_mutex_unlock(&lock);
    pause_below(100);
  }
  return unused;
}

static int times_done(const char *place) {
  int times = family->done(place);
  if (times > 0) family->undo(place);
  return times;
}

/* With the own directory in its place. */
static void check(int result, int error) {
  const int mounts = strstr(family->name, "mount") != NULL;
  int times;
  kind->come();
  times = times_done(own);
  if (kind->come == leave_jail) times += times_done(jailed);
  if (mounts && kind->come != leave_jail) times += times_done(foreign);
  if (times != (result == 0))
    fault("%s answered %s, and was done %d times", family->name, result ? strerror(error) : "0", times);
  counts->rounds++;
  counts->effects += result == 0;
}

static void *make_calls(void *unused) {
  while (race_is_on()) {
    int result = kind->place ? family->act(kind->place) : family->act_at(named_fd), error = errno;
    pthread_mutex_lock(&lock);
    check(result, error);
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

/* The same path below another root. */
static void make_jail(void) {
  snprintf(jail, sizeof jail, "%s/jail", home);
  snprintf(jailed, sizeof jailed, "%s%s", jail, own);
  for (char *at = jailed + strlen(home) + 1; (at = strchr(at, '/')); at++) {
    *at = '\0';
    mkdir(jailed, 0755);
    *at = '/';
  }
  mkdir(jailed, 0755);
  family->prepare(jailed);
}

static void prepare(void) {
  if (!getcwd(home, sizeof home)) give_up("getcwd");
  snprintf(own, sizeof own, "%s/own", home);
  mkdir("own", 0755);
  family->prepare("own");
  own_fd = open("own", O_RDONLY | O_DIRECTORY);
  foreign_fd = open(foreign, O_RDONLY | O_DIRECTORY);
  root_fd = open("/", O_RDONLY | O_DIRECTORY);
  named_fd = dup(own_fd);
  if (own_fd < 0 || foreign_fd < 0 || root_fd < 0 || named_fd < 0) give_up("open");
  unlink("here");
  unlink("other");
  if (symlink("own", "here") || symlink(foreign, "other")) give_up("symlink");
  make_jail();
  kind->come();
}

int main(int count, char **words) {
  if (count < 5) return 2;
  race_begin(words[1]);
  family = family_named(words[2]);
  foreign = words[4];
  mount_source = words[5];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].name, words[3]) == 0) kind = &kinds[i];
  if (!kind) return 2;
  prepare();
  race_thread(swap, NULL);
  race_thread(make_calls, NULL);
  return race_end();
}
