/*
 * pids SECONDS: sched_setscheduler(2) for processes that end while it is called, in a pid namespace where numbers come
 * again after a few hundred. Bystanders outside of it come and go meanwhile, whose numbers on the host are taken from the
 * same store: none of them ever stays real-time.
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "families.h"

enum { LIVE_US = 300, LATE_US = 20000, CALLERS = 2, LONGER_US = 1000 };

static int policy_of_self(void) { return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; }

/* What was meant for another is taken back a moment later. */
static void stand_by(void) {
  pause_below(LIVE_US);
  if (policy_of_self() == SCHED_OTHER) return;
  usleep(LATE_US);
  if (policy_of_self() != SCHED_OTHER) fault("a bystander has become real-time");
}

static void *make_bystanders(void *unused) {
  while (race_is_on()) {
    pid_t pid = fork();
    if (pid == 0) {
      stand_by();
      _exit(0);
    }
    waitpid(pid, NULL, 0);
  }
  return unused;
}

static void aim_at_one(void) {
  const struct sched_param one = {1};
  pid_t pid = fork();
  if (pid == 0) {
    pause_below(LONGER_US);
    _exit(0);
  }
  pause_below(LIVE_US);
  int result = sched_setscheduler(pid, SCHED_RR | SCHED_RESET_ON_FORK, &one);
  if (result && errno != ESRCH) fault("sched_setscheduler: %s", strerror(errno));
  counts->effects += result == 0;
  counts->rounds++;
  waitpid(pid, NULL, 0);
}

/* Numbers come again sooner where the kernel has a limit for each namespace (6.14). */
static void lower_pid_max(void) {
  if (mount("proc", "/proc", "proc", 0, NULL)) return;
  int fd = open("/proc/sys/kernel/pid_max", O_WRONLY);
  if (fd >= 0 && write(fd, "400", 3) < 0) perror("pid_max");
  if (fd >= 0) close(fd);
}

static void *aim(void *unused) {
  while (race_is_on()) aim_at_one();
  return unused;
}

static void in_pid_namespace(void) {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS)) give_up("unshare");
  pid_t first = fork();
  if (first == 0) {
    lower_pid_max();
    for (int i = 0; i < CALLERS; i++) race_thread(aim, NULL);
    for (unsigned int i = 0; i < race_thread_count; i++) pthread_join(race_threads[i], NULL);
    _exit(0);
  }
  waitpid(first, NULL, 0);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  race_begin(words[1]);
  pid_t bystanders = fork();
  if (bystanders == 0) {
    make_bystanders(NULL);
    _exit(0);
  }
  in_pid_namespace();
  waitpid(bystanders, NULL, 0);
  return race_end();
}
