/*
 * Makes any system call, on any ABI of the machine, in the order of its arguments and prints what each answered: one
 * line a word, a negative errno or the result, and what lies in its buffers. Words are ABI|NUMBER|ARGUMENT|...:
 *   12 or -1 or 0x10  a number        s=TEXT     a string           h=HEX      bytes
 *   n=COUNT           COUNT letters   u=COUNT    the same, up to an unmapped page, not terminated
 *   b=SIZE            a buffer        r=SIZE     one that may only be read
 *   v=WORD,WORD,...   64-bit words; inner arguments are s=, h= or b= with a number, or a number
 *   f=PATH            a descriptor    p=PATH     one of O_PATH      w=PATH     one for writing
 *   child             a process that sleeps      sibling   a thread that sleeps      self      this thread
 * and drop|CAPABILITY, raise|CAPABILITY, ids|UID|GID, unshare|FLAGS, thread, fork, mkdir|PATH, create|PATH, show|PATH.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

#define MAX_PARTS 9
#define ARENA_BYTES (64u << 20)
#define PAGE 4096u

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

struct output {
  const unsigned char *bytes;
  size_t size;
};

static unsigned char *arena;
static size_t used;
static struct output outputs[MAX_PARTS];
static size_t output_count;
static pid_t child;


/* Below 4 GiB, so that a 32-bit call can be given it too. Each object ends at the end of a page that is followed by none. */
static unsigned char *place(const void *bytes, size_t size, int protection) {
  size_t pages = (size + PAGE - 1) / PAGE + (size == 0);
  unsigned char *start = arena + used, *at = start + pages * PAGE - size;
  used += (pages + 1) * PAGE;
  if (used > ARENA_BYTES || mprotect(start, pages * PAGE, PROT_READ | PROT_WRITE)) abort();
  if (bytes) memcpy(at, bytes, size);
  if (mprotect(start, pages * PAGE, protection)) abort();
  return at;
}

static unsigned char *place_hex(const char *hex) {
  size_t size = strlen(hex) / 2;
  unsigned char *bytes = malloc(size + 1);
  for (size_t i = 0; i < size; i++) {
    char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
    bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
  }
  unsigned char *placed = place(bytes, size, PROT_READ | PROT_WRITE);
  free(bytes);
  return placed;
}

static unsigned char *place_letters(size_t count, int terminated) {
  char *letters = malloc(count + 1);
  memset(letters, 'a', count);
  letters[count] = 0;
  unsigned char *placed = place(letters, count + (terminated ? 1 : 0), PROT_READ | PROT_WRITE);
  free(letters);
  return placed;
}

static unsigned char *place_buffer(size_t size, int protection) {
  unsigned char *placed = place(NULL, size, protection);
  outputs[output_count++] = (struct output){placed, size};
  return placed;
}

static void *sleep_in_thread(void *tid) {
  *(volatile long *)tid = syscall(SYS_gettid);
  for (;;) pause();
  return NULL;
}

static long sibling(void) {
  static volatile long tid;
  pthread_t thread;
  if (tid == 0 && pthread_create(&thread, NULL, sleep_in_thread, (void *)&tid)) return -1;
  while (tid == 0) sched_yield();
  return tid;
}

static long sleeping_child(void) {
  if (child == 0 && (child = fork()) == 0)
    for (;;) pause();
  return child;
}

static uint64_t value(char *text) {
  if (!strcmp(text, "child")) return (uint64_t)sleeping_child();
  if (!strcmp(text, "sibling")) return (uint64_t)sibling();
  if (!strcmp(text, "self")) return (uint64_t)syscall(SYS_gettid);
  if (text[0] == 0 || text[1] != '=') return (uint64_t)number(text);
  char *rest = text + 2;
  switch (text[0]) {
  case 's': return (uintptr_t)place(rest, strlen(rest) + 1, PROT_READ | PROT_WRITE);
  case 'h': return (uintptr_t)place_hex(rest);
  case 'n': return (uintptr_t)place_letters((size_t)number(rest), 1);
  case 'u': return (uintptr_t)place_letters((size_t)number(rest), 0);
  case 'b': return (uintptr_t)place_buffer((size_t)number(rest), PROT_READ | PROT_WRITE);
  case 'r': return (uintptr_t)place_buffer((size_t)number(rest), PROT_READ);
  case 'f': return (uint64_t)open(rest, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  case 'p': return (uint64_t)open(rest, O_PATH | O_CLOEXEC);
  case 'w': return (uint64_t)open(rest, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  case 'v': {
    uint64_t words[8];
    size_t count = 0;
    for (char *word = strtok(rest, ","); word && count < 8; word = strtok(NULL, ",")) words[count++] = value(word);
    return (uintptr_t)place(words, count * 8, PROT_READ | PROT_WRITE);
  }
  default: return (uint64_t)number(text);
  }
}

static long call(const char *abi, long nr, const uint64_t *a) {
#ifdef __x86_64__
  if (!strcmp(abi, "i386")) {
    long result;
    /* Six arguments need ebp, which the compiler keeps: no call that is made this way has more than six. */
    __asm__ volatile("push %%rbp\n\tmov %[sixth], %%rbp\n\tint $0x80\n\tpop %%rbp"
                     : "=a"(result)
                     : "a"(nr), "b"((uint32_t)a[0]), "c"((uint32_t)a[1]), "d"((uint32_t)a[2]), "S"((uint32_t)a[3]),
                       "D"((uint32_t)a[4]), [sixth] "r"((uint64_t)(uint32_t)a[5])
                     : "memory", "cc", "r9", "r10", "r11");
    return (int)result;
  }
#else
  (void)abi;
#endif
  return answer(syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static long in_thread(char **rest) {
  pthread_t thread;
  puts("0");
  fflush(stdout);
  if (pthread_create(&thread, NULL, run_in_thread, rest)) return -EAGAIN;
  pthread_join(thread, NULL);
  fflush(stdout);
  if (child > 0) kill(child, SIGKILL);
  _exit(0);
}

static long in_child(char **rest) {
  puts("0");
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    run_all(rest);
    if (child > 0) kill(child, SIGKILL);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  _exit(0);
}

static long show(const char *path) {
  struct stat s;
  if (lstat(path, &s)) return -errno;
  printf("%o %u:%u ", s.st_mode, s.st_uid, s.st_gid);
  return 0;
}

static long run(char **part, size_t count, char **rest) {
#define IS(text) (!strcmp(part[0], text))
  if (IS("drop")) return set_capability((int)number(part[1]), 0);
  if (IS("raise")) return set_capability((int)number(part[1]), 1);
  if (IS("unshare")) return answer(unshare((int)number(part[1])));
  if (IS("mkdir")) return answer(mkdir(part[1], 0755));
  if (IS("create")) return close(open(part[1], O_CREAT | O_CLOEXEC, 0644)) ? -errno : 0;
  if (IS("show")) return show(part[1]);
  if (IS("thread")) return in_thread(rest);
  if (IS("fork")) return in_child(rest);
  if (IS("ids")) {
    /* The thread alone, and it keeps no capability unless its user is 0. */
    long result = syscall(SYS_setresgid, number(part[2]), number(part[2]), number(part[2]));
    if (!result) result = syscall(SYS_setresuid, number(part[1]), number(part[1]), number(part[1]));
    return answer(result);
  }
  if (count < 2) return -ENOSYS;
  uint64_t arguments[6] = {0};
  for (size_t i = 2; i < count && i < 8; i++) arguments[i - 2] = value(part[i]);
  return call(part[0], number(part[1]), arguments);
}

static void run_all(char **words) {
  for (; *words; words++) {
    char *copy = strdup(*words), *part[MAX_PARTS] = {0};
    size_t count = 0;
    for (char *at = copy; at && count < MAX_PARTS; count++) {
      part[count] = at;
      at = strchr(at, '|');
      if (at) *at++ = 0;
    }
    for (size_t i = count; i < MAX_PARTS; i++) part[i] = "";
    output_count = 0;
    printf("%s ", part[0]);
    printf("%ld", run(part, count, words + 1));
    for (size_t i = 0; i < output_count; i++) {
      putchar(' ');
      for (size_t j = 0; j < outputs[i].size; j++) printf("%02x", outputs[i].bytes[j]);
    }
    putchar('\n');
    fflush(stdout);
    free(copy);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  arena = mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (arena == MAP_FAILED) return 1;
  run_all(argv + 1);
  if (child > 0) kill(child, SIGKILL);
  return 0;
}
