/*
 * What programs that race have in common: how long they do it, their threads, and what they report. The last line of
 * standard output is "ROUNDS rounds, EFFECTS effects"; each fault is a line of its own before, and makes the status 1.
 */
#ifndef RACE_H
#define RACE_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { FAULTS_MAX = 20, THREADS_MAX = 16 };

/* Shared with the children of the program. */
static struct {
  atomic_ulong rounds, effects, faults;
} * counts;
static double end_time;
static pthread_t race_threads[THREADS_MAX];
static unsigned int race_thread_count;

/* For what a program needs before it can race at all. */
static inline void give_up(const char *what) {
  perror(what);
  exit(2);
}

static inline double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void race_begin(const char *seconds) {
  counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counts == MAP_FAILED) give_up("mmap");
  setvbuf(stdout, NULL, _IOLBF, 0);
  end_time = seconds_now() + strtod(seconds, NULL);
}

static inline int race_is_on(void) { return seconds_now() < end_time && counts->faults < FAULTS_MAX; }

__attribute__((format(printf, 1, 2))) static inline void fault(const char *format, ...) {
  va_list words;
  char text[512];
  va_start(words, format);
  vsnprintf(text, sizeof text, format, words);
  va_end(words);
  printf("fault: %s\n", text);
  counts->faults++;
}

static inline void race_thread(void *(*body)(void *), void *argument) {
  if (race_thread_count == THREADS_MAX || pthread_create(&race_threads[race_thread_count++], NULL, body, argument))
    give_up("pthread_create");
}

static inline int race_end(void) {
  for (unsigned int i = 0; i < race_thread_count; i++) pthread_join(race_threads[i], NULL);
  printf("%lu rounds, %lu effects\n", counts->rounds, counts->effects);
  return counts->faults > 0;
}

/* xorshift: each thread draws its own. */
static inline unsigned int draw_below(unsigned int limit) {
  static _Thread_local uint64_t state;
  if (state == 0) state = (uint64_t)(uintptr_t)&state ^ (uint64_t)(seconds_now() * 1e9) ^ ((uint64_t)getpid() << 40);
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned int)((state >> 16) % limit);
}

static inline void pause_below(unsigned int microseconds) {
  struct timespec pause = {0, (long)draw_below(microseconds) * 1000};
  nanosleep(&pause, NULL);
}

#endif
