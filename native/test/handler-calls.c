/*
 * Makes system calls by number: each word is NUMBER[,ARGUMENT]..., an argument a number, or @TEXT for the address of
 * TEXT. Prints `WORD RESULT`, a line for each, where RESULT may be a negative errno. `pair:A+B` makes A in another
 * thread and B meanwhile, and prints whether A had come back before B did. `i386:...` and `x32:...` use those ABIs.
 * `listener` asks for a seccomp listener of its own; `listener-bad` with flags that do not exist.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { X32_BIT = 0x40000000 };

#ifdef __x86_64__
static long i386(long number, const long *arguments)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(arguments[0]), "c"(arguments[1]), "d"(arguments[2])
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)result;
}
#endif

static long make(char *word)
{
	long arguments[6] = { 0 };
	long bit = 0;
	int legacy = 0;
	unsigned int count = 0;
	char *rest;

	if (strncmp(word, "x32:", 4) == 0) {
		bit = X32_BIT;
		word += 4;
	} else if (strncmp(word, "i386:", 5) == 0) {
		legacy = 1;
		word += 5;
	}
	long number = strtol(strtok_r(word, ",", &rest), NULL, 0) | bit;

	for (char *field; count < 6 && (field = strtok_r(NULL, ",", &rest)); count++)
		arguments[count] = *field == '@' ? (long)(uintptr_t)(field + 1) : strtol(field, NULL, 0);
#ifdef __x86_64__
	if (legacy)
		return i386(number, arguments);
#else
	(void)legacy;
#endif
	long result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);

	return result == -1 ? -errno : result;
}

static atomic_int came_back;

static void *make_in_thread(void *word)
{
	(void)make(word);
	came_back = 1;
	return NULL;
}

static long pair(char *words)
{
	pthread_t thread;
	char *second = strchr(words, '+');

	*second++ = '\0';
	/* The thread may still be in its call when the program ends. */
	pthread_create(&thread, NULL, make_in_thread, strdup(words));
	usleep(100000);
	(void)make(second);
	return came_back;
}

static long listener(unsigned int flags)
{
	struct sock_filter allow = { .code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW };
	struct sock_fprog program = { .len = 1, .filter = &allow };
	long result;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return result == -1 ? -errno : result;
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 1; i < count; i++) {
		char *word = strdup(words[i]);
		long result;

		if (strcmp(word, "listener") == 0)
			result = listener(SECCOMP_FILTER_FLAG_NEW_LISTENER);
		else if (strcmp(word, "listener-bad") == 0)
			result = listener(SECCOMP_FILTER_FLAG_NEW_LISTENER | 1U << 30);
		else if (strcmp(word, "filter") == 0)
			result = listener(0);
		else
			result = strncmp(word, "pair:", 5) == 0 ? pair(word + 5) : make(word);
		printf("%s %ld\n", words[i], result);
		free(word);
	}
	return 0;
}
