/*
 * Installs seccomp filters and makes calls under them, so that tests can compare the kernel with our own machine.
 *
 * stdin, all little endian, any number of cases: u32 instructions, that many struct sock_filter, u32 calls, and for
 * each call u32 kind (0 native or x32, 1 int 0x80), u32 number, six u64 registers.
 * stdout, one line a case: the errno of the installation, then for each call its result as the kernel returned it,
 * or "died" from the first call that the process did not survive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_INSTRUCTIONS 8192
#define MAX_CALLS 256

struct call {
  uint32_t kind;
  uint32_t number;
  uint64_t registers[6];
};

struct shared {
  int installed;
  volatile uint32_t done;
  volatile long results[MAX_CALLS];
};

static int read_all(void *buffer, size_t size) { return fread(buffer, 1, size, stdin) == size; }

static long legacy_call(uint32_t number, const uint64_t *r) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("sub $128, %%rsp\n\t" /* the red zone */
                   "push %%rbp\n\t"
                   "mov %[sixth], %%rbp\n\t"
                   "int $0x80\n\t"
                   "pop %%rbp\n\t"
                   "add $128, %%rsp"
                   : "=a"(result)
                   : "a"((uint64_t)number), "b"(r[0]), "c"(r[1]), "d"(r[2]), "S"(r[3]), "D"(r[4]), [sixth] "r"(r[5])
                   : "r8", "r9", "r10", "r11", "memory", "cc");
  return (int)result;
#else
  (void)number;
  (void)r;
  return -ENOSYS;
#endif
}

static long native_call(uint32_t number, const uint64_t *r) {
  long result = syscall((long)number, r[0], r[1], r[2], r[3], r[4], r[5]);
  return result == -1 ? -errno : result;
}

static void child(struct sock_fprog *program, const struct call *calls, uint32_t count, struct shared *shared) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
  shared->installed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0 ? 0 : errno;
  if (shared->installed != 0) _exit(0);
  for (uint32_t i = 0; i < count; i++) {
    const struct call *call = &calls[i];
    shared->results[i] = call->kind == 1 ? legacy_call(call->number, call->registers) : native_call(call->number, call->registers);
    shared->done = i + 1;
  }
  _exit(0);
}

int main(void) {
  static struct sock_filter instructions[MAX_INSTRUCTIONS];
  static struct call calls[MAX_CALLS];
  struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  uint32_t length, count;
  while (read_all(&length, sizeof length)) {
    if (length > MAX_INSTRUCTIONS || !read_all(instructions, length * sizeof *instructions)) return 2;
    if (!read_all(&count, sizeof count) || count > MAX_CALLS || !read_all(calls, count * sizeof *calls)) return 2;
    memset(shared, 0, sizeof *shared);
    struct sock_fprog program = {.len = (unsigned short)length, .filter = instructions};
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) child(&program, calls, count, shared);
    if (waitpid(pid, NULL, 0) != pid) return 1;
    printf("%d", shared->installed);
    if (shared->installed == 0) {
      for (uint32_t i = 0; i < count && i < shared->done; i++) printf(" %ld", shared->results[i]);
      if (shared->done < count) printf(" died");
    }
    printf("\n");
  }
  return 0;
}
