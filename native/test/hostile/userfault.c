/*
 * userfault SECONDS OTHER: calls whose path lies in memory that comes only when it is touched, from a thread of the caller
 * (userfaultfd(2)), which takes its time and puts something else there each time: a path in a directory of its own, and
 * one below OTHER, where it may change nothing. It takes the page away as soon as it has been read. Also callers that are
 * killed while the supervisor waits for such memory: the next call is answered.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "families.h"

enum { PAGE = 4096, ANSWER_US = 500, LIFE_US = 5000 };

static const char *other;
/* A caller that waits for a page when the time is up gets it: it would wait for ever, and does in the kernel. */
static atomic_int calls_go_on = 1;

struct memory {
  int fd;
  char *page;
};

static struct memory make_memory(void) {
  struct memory memory;
  struct uffdio_api api = {.api = UFFD_API};
  int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (device < 0) give_up("/dev/userfaultfd");
  memory.fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
  close(device);
  memory.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {
    .range = {(uintptr_t)memory.page, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING,
  };
  if (memory.fd < 0 || memory.page == MAP_FAILED || ioctl(memory.fd, UFFDIO_API, &api) ||
      ioctl(memory.fd, UFFDIO_REGISTER, &range))
    give_up("userfaultfd");
  return memory;
}

static void *give_pages(void *argument) {
  const struct memory *memory = argument;
  static char content[PAGE] __attribute__((aligned(PAGE)));
  for (unsigned int turn = 0; calls_go_on; turn++) {
    struct pollfd asked = {memory->fd, POLLIN, 0};
    struct uffd_msg message;
    if (poll(&asked, 1, 100) <= 0 || read(memory->fd, &message, sizeof message) < 0) continue;
    snprintf(content, sizeof content, turn % 2 ? "for/n" : "own/n");
    pause_below(ANSWER_US);
    struct uffdio_copy copy = {(uintptr_t)memory->page, (uintptr_t)content, PAGE, 0, 0};
    if (ioctl(memory->fd, UFFDIO_COPY, &copy) && errno != EEXIST) give_up("UFFDIO_COPY");
    if (draw_below(2)) madvise(memory->page, PAGE, MADV_DONTNEED);
  }
  return NULL;
}

static void *make_calls(void *argument) {
  const struct memory *memory = argument;
  while (race_is_on()) {
    int result = mknod(memory->page, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR));
    if (result == 0 && unlink("own/n")) fault("a node was made elsewhere");
    counts->effects += result == 0;
    counts->rounds++;
    madvise(memory->page, PAGE, MADV_DONTNEED);
  }
  calls_go_on = 0;
  return NULL;
}

/* Nobody gives the page, until the caller is dead. */
static void die_in_a_fault(void) {
  pid_t pid = fork();
  if (pid == 0) {
    struct memory memory = make_memory();
    mknod(memory.page, S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR));
    _exit(0);
  }
  pause_below(LIFE_US);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  if (mknod("own/after", S_IFCHR | 0600, makedev(NULL_MAJOR, NULL_MINOR)) || unlink("own/after"))
    fault("after a caller died: %s", strerror(errno));
  counts->effects++;
  counts->rounds++;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  race_begin(words[1]);
  other = words[2];
  mkdir("own", 0755);
  unlink("for");
  if (symlink(other, "for")) give_up("symlink");
  struct memory memory = make_memory();
  race_thread(give_pages, &memory);
  race_thread(make_calls, &memory);
  while (race_is_on()) die_in_a_fault();
  return race_end();
}
