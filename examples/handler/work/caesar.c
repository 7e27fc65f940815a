/* Calls caesar(2), which only caesar.js has: cc -o caesar caesar.c && ./caesar 'Hello, kernel' 3 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NR_CAESAR = 5000 };

int main(int count, char **words)
{
	if (count != 3) {
		fprintf(stderr, "usage: %s TEXT SHIFT\n", words[0]);
		return 2;
	}
	long moved = syscall(NR_CAESAR, words[1], strlen(words[1]), atoi(words[2]));

	if (moved < 0) {
		fprintf(stderr, "caesar: %s\n", strerror(errno));
		return 1;
	}
	printf("%s %ld\n", words[1], moved);
	return 0;
}
