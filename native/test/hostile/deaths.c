/*
 * deaths SECONDS FAMILY HOW [SOURCE]: processes make calls, over and over, and at some moment of one
 *   kill    are killed
 *   stop    are stopped and continued, several times
 *   trace   are seized by a tracer, interrupted, stepped through system calls, and let go
 *   exec    have another thread execute a program
 *   exit    have another thread end the process
 * Each makes its calls at a place of its own. In the end every call was done once or not at all, and those of a process
 * that was not ended were done.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "families.h"

enum { STEPS = 12, STOPS = 5, LATE_MS = 500, SHORTEST_US = 3000, LONGEST_US = 900000, CALLS = 3 };

static const struct family *family;
static atomic_int *is_asked_to_end;
/* As long as some calls take. */
static unsigned int longest_us;

static void name_place(char *place, unsigned long round) { snprintf(place, PATH_BYTES, "process%lu", round); }

static void *make_calls(void *argument) {
  const char *place = argument;
  while (!*is_asked_to_end) {
    int result = family->act(place), error = errno, times = family->done(place);
    if (times != (result == 0))
      fault("%s answered %s, and was done %d times", family->name, result ? strerror(error) : "0", times);
    if (times > 0) family->undo(place);
    counts->effects += result == 0;
  }
  return NULL;
}

static pid_t start_caller(char *place, void (*end)(void)) {
  pthread_t caller;
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid > 0) return pid;
  if (!end) make_calls(place);
  else if (pthread_create(&caller, NULL, make_calls, place) == 0) {
    pause_below(longest_us);
    end();
  }
  _exit(0);
}

static void end_by_exec(void) { execl("/proc/self/exe", "deaths", NULL); }
static void end_by_exit(void) { _exit(0); }

static void await(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
}

static void ask_to_end(pid_t pid) {
  *is_asked_to_end = 1;
  await(pid);
  *is_asked_to_end = 0;
}

static void stop_and_continue(pid_t pid) {
  for (int i = 0; i < STOPS; i++) {
    pause_below(longest_us);
    kill(pid, SIGSTOP);
    pause_below(longest_us);
    kill(pid, SIGCONT);
  }
  ask_to_end(pid);
}

static void trace(pid_t pid) {
  int status;
  pause_below(longest_us);
  if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, pid, 0, 0)) give_up("ptrace");
  for (int step = 0; step < STEPS && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); step++) {
    if (ptrace(step == STEPS - 1 ? PTRACE_DETACH : PTRACE_SYSCALL, pid, 0, 0)) break;
  }
  ask_to_end(pid);
}

static void one_round(const char *how, char *place) {
  if (strcmp(how, "exec") == 0) await(start_caller(place, end_by_exec));
  else if (strcmp(how, "exit") == 0) await(start_caller(place, end_by_exit));
  else {
    pid_t pid = start_caller(place, NULL);
    if (strcmp(how, "stop") == 0) stop_and_continue(pid);
    else if (strcmp(how, "trace") == 0) trace(pid);
    else {
      pause_below(longest_us);
      kill(pid, SIGKILL);
      await(pid);
    }
  }
}

/* What was begun for a process that has ended may be done a moment later. */
static void check_places(void) {
  char place[PATH_BYTES];
  usleep(LATE_MS * 1000);
  for (unsigned long round = 0; round < counts->rounds; round++) {
    name_place(place, round);
    int times = family->done(place);
    if (times < 0 || times > 1) fault("%s was done %d times at %s", family->name, times, place);
    if (times > 0) family->undo(place);
  }
}

static void measure(char *place) {
  double start = seconds_now();
  if (family->act(place)) give_up(family->name);
  longest_us = CALLS * (unsigned int)((seconds_now() - start) * 1e6);
  if (longest_us < SHORTEST_US) longest_us = SHORTEST_US;
  if (longest_us > LONGEST_US) longest_us = LONGEST_US;
  family->undo(place);
}

int main(int count, char **words) {
  char place[PATH_BYTES];
  if (count < 4) return 0; /* executed by a caller */
  race_begin(words[1]);
  family = family_named(words[2]);
  mount_source = words[4];
  is_asked_to_end = mmap(NULL, sizeof *is_asked_to_end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (is_asked_to_end == MAP_FAILED) give_up("mmap");
  for (; race_is_on(); counts->rounds++) {
    name_place(place, counts->rounds);
    mkdir(place, 0755);
    family->prepare(place);
    if (counts->rounds == 0) measure(place);
    one_round(words[3], place);
  }
  check_places();
  return race_end();
}
