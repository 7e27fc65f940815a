/* caller.h: one kind of system call, as caller.c makes and times it. */
#ifndef CALLER_H
#define CALLER_H

#include <stddef.h>

enum { NAME_BYTES = 24 };

/* What one process needs for its calls; names are made before anything is timed. */
struct place {
	unsigned int process;
	/* A file of this process's own. */
	char name[NAME_BYTES];
	/* No name is used twice, by this process or another: the kernel remembers names that were looked up. */
	size_t used;
	char (*names)[NAME_BYTES];
	int result;
};

struct kind {
	const char *name;
	/* What the call must end with: 0, or an errno. Anything else is counted as unexpected. */
	int expected;
	/* Uses names[i], a fresh name for each call. */
	int fresh;
	/* Once in each process, before the first round. */
	int (*prepare)(struct place *place);
	/* The call that is timed; -1 and errno, or what it returned. */
	long (*call)(struct place *place, size_t i);
	/* After each call, between two timings. What calls leave is removed with the directory. */
	void (*after)(struct place *place, long result);
};

/* NULL where there is no such kind. */
const struct kind *find_kind(const char *name);

#endif
