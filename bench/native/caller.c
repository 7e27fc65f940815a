/*
 * caller: makes system calls of one kind and times each.
 *
 *     caller KIND PROCESSES
 *
 * Each line on standard input is one round, "PROCESSES CALLS": so many processes, released together, make so many calls
 * each. Its answer is one line of JSON with quantiles of the nanoseconds that a call took, over all of them, and the
 * time from the first call to the last. The nearest thing to nothing is done between two calls, and everything that
 * makes files before.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"

enum { PROCESSES_MAX = 64, SAMPLES_MAX = 1 << 21 };

/* Shared by all processes; each writes its own part of the samples. */
struct shared {
	pthread_barrier_t barrier;
	uint64_t begin_ns[PROCESSES_MAX], end_ns[PROCESSES_MAX];
	size_t unexpected[PROCESSES_MAX];
	int error[PROCESSES_MAX];
	uint32_t samples[SAMPLES_MAX];
};

static struct shared *shared;
/* Told apart by it are callers that work in one directory. */
static unsigned int tag;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "caller: cannot %s: %s\n", what, strerror(errno));
	_exit(125);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void make_names(struct place *place, size_t count)
{
	place->names = calloc(count, sizeof(place->names[0]));
	if (place->names == NULL)
		die("allocate names");
	for (size_t i = 0; i < count; i++)
		snprintf(place->names[i], NAME_BYTES, "%s.%zx", place->name, place->used++);
}

static void call_many(const struct kind *kind, struct place *place, size_t count)
{
	const unsigned int own = place->process;
	uint32_t *samples = shared->samples + own * count;
	size_t unexpected = 0;
	uint64_t before, after = 0;

	if (kind->fresh)
		make_names(place, count);
	pthread_barrier_wait(&shared->barrier);
	shared->begin_ns[own] = now_ns();
	for (size_t i = 0; i < count; i++) {
		long result;
		int error;

		before = now_ns();
		result = kind->call(place, i);
		error = result == -1 ? errno : 0;
		after = now_ns();
		samples[i] = after - before < UINT32_MAX ? (uint32_t)(after - before) : UINT32_MAX;
		if (error != kind->expected && unexpected++ == 0)
			shared->error[own] = error;
		if (kind->after != NULL)
			kind->after(place, result);
	}
	shared->end_ns[own] = after;
	shared->unexpected[own] = unexpected;
	free(place->names);
	place->names = NULL;
}

/* One process: a count on its pipe is a round, and one byte back says that it is over. */
static _Noreturn void serve(const struct kind *kind, unsigned int process, int commands, int answers)
{
	struct place place = { .process = process };
	size_t count;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	snprintf(place.name, NAME_BYTES, "%s.%05x.%u", kind->name, tag, process);
	if (kind->prepare != NULL && kind->prepare(&place) < 0)
		die("prepare the calls");
	while (read(commands, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
		call_many(kind, &place, count);
		if (write(answers, "", 1) != 1)
			die("tell the end of a round");
	}
	_exit(0);
}

static int compare(const void *one, const void *other)
{
	const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

static void tell(unsigned int processes, size_t count)
{
	static const struct { const char *name; unsigned int permille; } QUANTILES[] = {
		{ "min", 0 }, { "p25", 250 }, { "p50", 500 }, { "p75", 750 }, { "p90", 900 }, { "p99", 990 }, { "max", 1000 },
	};
	const size_t total = processes * count;
	uint64_t begin = UINT64_MAX, end = 0;
	size_t unexpected = 0;
	int error = 0;

	for (unsigned int i = 0; i < processes; i++) {
		if (shared->begin_ns[i] < begin)
			begin = shared->begin_ns[i];
		if (shared->end_ns[i] > end)
			end = shared->end_ns[i];
		if (shared->unexpected[i] > 0)
			error = shared->error[i];
		unexpected += shared->unexpected[i];
	}
	qsort(shared->samples, total, sizeof(shared->samples[0]), compare);
	printf("{\"calls\":%zu,\"wallNs\":%" PRIu64 ",\"unexpected\":%zu,\"errno\":%d", total, end - begin, unexpected, error);
	for (size_t i = 0; i < sizeof(QUANTILES) / sizeof(QUANTILES[0]); i++)
		printf(",\"%s\":%" PRIu32, QUANTILES[i].name, shared->samples[(total - 1) * QUANTILES[i].permille / 1000]);
	puts("}");
	fflush(stdout);
}

static void play_round(const int *commands, int answers, unsigned int processes, size_t count)
{
	pthread_barrierattr_t attributes;
	char byte;

	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (pthread_barrier_init(&shared->barrier, &attributes, processes) != 0)
		die("make a barrier");
	for (unsigned int i = 0; i < processes; i++)
		if (write(commands[i], &count, sizeof(count)) != (ssize_t)sizeof(count))
			die("start a round");
	for (unsigned int i = 0; i < processes; i++)
		if (read(answers, &byte, 1) != 1)
			die("wait for the end of a round");
	tell(processes, count);
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc == 3 ? find_kind(argv[1]) : NULL;
	const unsigned long most = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	int commands[PROCESSES_MAX], answers[2];
	unsigned int processes;
	size_t count;

	if (kind == NULL || most < 1 || most > PROCESSES_MAX) {
		fputs("usage: caller KIND PROCESSES\n", stderr);
		return 2;
	}
	tag = (unsigned int)(now_ns() >> 10) & 0xfffff;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED || pipe(answers) < 0)
		die("share memory");
	for (unsigned int i = 0; i < most; i++) {
		int ends[2];
		pid_t pid;

		if (pipe(ends) < 0 || (pid = fork()) < 0)
			die("start a process");
		if (pid == 0) {
			for (unsigned int other = 0; other < i; other++)
				close(commands[other]);
			close(ends[1]);
			close(answers[0]);
			serve(kind, i, ends[0], answers[1]);
		}
		close(ends[0]);
		commands[i] = ends[1];
	}
	/* So that a process which ended early is seen. */
	close(answers[1]);
	while (scanf("%u %zu", &processes, &count) == 2) {
		if (processes < 1 || processes > most || count < 1 || count > SAMPLES_MAX / processes) {
			fputs("caller: cannot play a round: too many processes or calls\n", stderr);
			return 2;
		}
		play_round(commands, answers[0], processes, count);
	}
	for (unsigned int i = 0; i < most; i++)
		close(commands[i]);
	while (wait(NULL) > 0)
		;
	return 0;
}
