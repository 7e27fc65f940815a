/*
 * storm SECONDS FAMILY restart|interrupt|threads [SOURCE]: calls from several threads while signals rain on them, with and
 * without SA_RESTART; or, with `threads`, one call each of as many threads as the container may have, all at once. A call
 * that succeeds has done it once, and one that a signal ends has not.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>

#include "families.h"

enum { CALLERS = 3, THREADS = 10000, STACK_BYTES = 16384 };

static const struct family *family;
static int may_be_interrupted;
static atomic_int callers[CALLERS];

static void ignore(int signal) { (void)signal; }

static void check(const char *place, int result, int error) {
  int times = family->done(place);
  if (times != (result == 0) || (result && !(may_be_interrupted && error == EINTR)))
    fault("%s answered %s, and was done %d times", family->name, result ? strerror(error) : "0", times);
  if (times > 0) family->undo(place);
  counts->rounds++;
  counts->effects += result == 0;
}

static void *call_in_storm(void *argument) {
  atomic_int *self = argument;
  char place[32];
  sigset_t storm;
  snprintf(place, sizeof place, "caller%d", (int)(self - callers));
  mkdir(place, 0755);
  family->prepare(place);
  sigemptyset(&storm);
  sigaddset(&storm, SIGURG);
  *self = gettid();
  while (race_is_on()) {
    int result = family->act(place), error = errno;
    pthread_sigmask(SIG_BLOCK, &storm, NULL);
    check(place, result, error);
    pthread_sigmask(SIG_UNBLOCK, &storm, NULL);
  }
  return NULL;
}

static void *send_signals(void *unused) {
  while (race_is_on()) {
    int tid = callers[draw_below(CALLERS)];
    if (tid) tgkill(getpid(), tid, SIGURG);
    pause_below(100);
  }
  return unused;
}

static void storm(int flags) {
  struct sigaction action = {.sa_handler = ignore, .sa_flags = flags};
  sigset_t signals;
  sigaction(SIGURG, &action, NULL);
  may_be_interrupted = flags == 0;
  for (int i = 0; i < CALLERS; i++) race_thread(call_in_storm, &callers[i]);
  sigemptyset(&signals);
  sigaddset(&signals, SIGURG);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  send_signals(NULL);
}

static pthread_barrier_t all_there;

static void *make_one_node(void *number) {
  char path[32];
  snprintf(path, sizeof path, "many/%u", (unsigned int)(uintptr_t)number);
  pthread_barrier_wait(&all_there);
  if (mknod(path, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR))) fault("%s: %s", path, strerror(errno));
  else counts->effects++;
  return NULL;
}

static unsigned int remove_nodes(void) {
  char path[PATH_BYTES];
  unsigned int found = 0;
  DIR *directory = opendir("many");
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    if (entry->d_name[0] == '.') continue;
    found += unlink(below(path, "many", entry->d_name)) == 0;
  }
  if (directory) closedir(directory);
  return found;
}

/* Those that can be made: they wait until all are, and one more that says so. */
static void many_threads(void) {
  static pthread_t threads[THREADS];
  pthread_attr_t attributes;
  unsigned int made = 0, found;
  unsigned long before = counts->effects;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_barrier_init(&all_there, NULL, THREADS + 1);
  while (made < THREADS && pthread_create(&threads[made], &attributes, make_one_node, (void *)(uintptr_t)made) == 0)
    made++;
  if (made < THREADS) give_up("threads");
  pthread_barrier_wait(&all_there);
  for (unsigned int i = 0; i < made; i++) pthread_join(threads[i], NULL);
  found = remove_nodes();
  if (found != counts->effects - before) fault("%u nodes of %lu calls", found, counts->effects - before);
  pthread_barrier_destroy(&all_there);
  counts->rounds += made;
}

int main(int count, char **words) {
  if (count < 4) return 2;
  race_begin(words[1]);
  family = family_named(words[2]);
  mount_source = words[4];
  if (strcmp(words[3], "threads") == 0) {
    mkdir("many", 0755);
    do many_threads();
    while (race_is_on());
  } else {
    storm(strcmp(words[3], "restart") == 0 ? SA_RESTART : 0);
  }
  return race_end();
}
