/*
 * What the programs that make calls in the order of their arguments share: how they answer, and changes of a thread.
 */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long answer(long result) { return result == -1 ? -errno : result; }
static inline long number(const char *text) { return strtoll(text, NULL, 0); }

/* Effective alone; it can be raised again. */
static inline long set_capability(int bit, int on) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return -errno;
  unsigned mask = 1u << (bit % 32);
  data[bit / 32].effective = on ? data[bit / 32].effective | mask : data[bit / 32].effective & ~mask;
  return answer(syscall(SYS_capset, &header, data));
}

/* Defined by each program: makes the calls that the words stand for. */
static void run_all(char **words);

/* For pthread_create(). */
static inline void *run_in_thread(void *words) {
  run_all(words);
  return NULL;
}

#endif
