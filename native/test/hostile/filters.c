/*
 * filters SECONDS: callers with seccomp filters of their own on top of the supervisor's. Of several filters the kernel
 * takes the strictest answer (seccomp(2)), in this order: ERRNO, USER_NOTIF, TRACE, LOG, ALLOW. So a call is done once
 * where the caller's filter says TRACE, LOG or ALLOW, and not at all where it says ERRNO. Besides, a filter that is put on
 * all threads (TSYNC) while one of them makes calls, and a tracer that makes another call of one: what becomes of it is
 * intercepted as well.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "families.h"

static const struct family *family;
static const char place[] = ".";
/* Whether a call may fail with an errno of the caller's filter by now. */
static atomic_int *may_fail;

static int answer_with(uint32_t action, long number, unsigned int flags) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, action),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void one_call(int is_refused) {
  int result = family->act(place), error = errno, times = family->done(place);
  if (times != (result == 0)) fault("answered %s, and was done %d times", result ? strerror(error) : "0", times);
  if (is_refused ? result == 0 || error != ECHRNG : result != 0 && !(*may_fail && error == ECHRNG))
    fault("answered %s", result ? strerror(error) : "0");
  if (times > 0) family->undo(place);
  counts->effects += result == 0;
  counts->rounds++;
}

static void call_under(uint32_t action) {
  if (answer_with(action, SYS_mknodat, 0)) give_up("seccomp");
  one_call((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO);
}

static atomic_int is_over;

static void *call_until_over(void *unused) {
  while (!is_over) one_call(0);
  one_call(1);
  return unused;
}

static void filter_all_threads(void) {
  pthread_t caller;
  is_over = 0;
  if (pthread_create(&caller, NULL, call_until_over, NULL)) give_up("pthread_create");
  pause_below(2000);
  *may_fail = 1;
  if (answer_with(SECCOMP_RET_ERRNO | ECHRNG, SYS_mknodat, SECCOMP_FILTER_FLAG_TSYNC)) give_up("TSYNC");
  is_over = 1;
  pthread_join(caller, NULL);
  *may_fail = 0;
}

/* A listener of the caller's own: its answers would come before the supervisor's. */
static void ask_for_listener(void) {
  if (answer_with(SECCOMP_RET_USER_NOTIF, SYS_mknodat, SECCOMP_FILTER_FLAG_NEW_LISTENER) >= 0 || errno != EBUSY)
    fault("a second listener: %s", strerror(errno));
  one_call(0);
}

#ifdef __x86_64__
/* getppid(2) becomes mknod(2) of null, which is allowed, and of the first disk, which is not. */
static void be_rewritten(void) {
  static const char paths[2][4] = {"n", "sda"};
  uint64_t devices[] = {makedev(NULL_MAJOR, NULL_MINOR), makedev(8, 0)};
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP)) give_up("PTRACE_TRACEME");
    if (answer_with(SECCOMP_RET_TRACE, SYS_getppid, 0)) give_up("seccomp");
    for (int i = 0; i < 2; i++) {
      long result = syscall(SYS_getppid, paths[i], i == 0 ? S_IFCHR | 0600 : S_IFBLK | 0600, devices[i]);
      if ((result == 0) != (i == 0)) fault("a call that a tracer made answered %ld", result);
    }
    _exit(0);
  }
  if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) give_up("waitpid");
  if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)) give_up("PTRACE_SETOPTIONS");
  while (ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
    struct user_regs_struct registers;
    if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) continue;
    if (ptrace(PTRACE_GETREGS, pid, 0, &registers)) give_up("PTRACE_GETREGS");
    registers.orig_rax = SYS_mknod;
    if (ptrace(PTRACE_SETREGS, pid, 0, &registers)) give_up("PTRACE_SETREGS");
  }
  counts->rounds += 2;
  counts->effects += family->done(place) == 1;
  if (family->done(place) != 1) fault("what a tracer made of a call was done %d times", family->done(place));
  else family->undo(place);
}
#endif

/* Filters can't be taken off: each in a process of its own. */
static void in_child(void (*body)(void), uint32_t action) {
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) give_up("no_new_privs");
    if (body) body();
    else call_under(action);
    _exit(0);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid || status != 0) fault("a child ended with status %#x", status);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  race_begin(words[1]);
  family = family_named("mknod");
  may_fail = mmap(NULL, sizeof *may_fail, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (may_fail == MAP_FAILED) give_up("mmap");
  while (race_is_on()) {
    in_child(NULL, SECCOMP_RET_ERRNO | ECHRNG);
    in_child(NULL, SECCOMP_RET_TRACE);
    in_child(NULL, SECCOMP_RET_LOG);
    in_child(NULL, SECCOMP_RET_ALLOW);
    in_child(filter_all_threads, 0);
    in_child(ask_for_listener, 0);
#ifdef __x86_64__
    in_child(be_rewritten, 0);
#endif
  }
  return race_end();
}
