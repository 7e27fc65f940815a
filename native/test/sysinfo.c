/*
 * Calls sysinfo(2) in each way that its arguments name and prints a line for each: the name, the result or negative
 * errno, and in hex the 128 bytes at the buffer, which was filled with a5 before. Ways: native, x32, i386, null,
 * readonly, and loop, which calls natively 100,000 times and prints nanoseconds for one call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 128, I386_SYSINFO = 116, X32_BIT = 0x40000000, ROUNDS = 100000 };

static long native(long number, void *buffer)
{
	long result = syscall(number, buffer);

	return result == -1 ? -errno : result;
}

#ifdef __x86_64__
static long i386(void *buffer)
{
	long result;

	/* A 32-bit call from 64-bit code: the kernel saves r8 to r11 for nobody. */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(I386_SYSINFO), "b"((uintptr_t)buffer)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)result;
}
#endif

static void print(const char *way, long result, const unsigned char *bytes)
{
	printf("%s %ld ", way, result);
	for (int i = 0; i < BUFFER_BYTES; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static void loop(void *buffer)
{
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < ROUNDS; i++)
		native(SYS_sysinfo, buffer);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("loop %.0f\n", ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / ROUNDS);
}

int main(int argc, char **argv)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

#ifdef __x86_64__
	flags |= MAP_32BIT;
#endif
	unsigned char *buffer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (buffer == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		const char *way = argv[i];
		long result = -ENOSYS;

		memset(buffer, 0xa5, BUFFER_BYTES);
		if (strcmp(way, "native") == 0)
			result = native(SYS_sysinfo, buffer);
		else if (strcmp(way, "x32") == 0)
			result = native(SYS_sysinfo | X32_BIT, buffer);
		else if (strcmp(way, "null") == 0)
			result = native(SYS_sysinfo, NULL);
#ifdef __x86_64__
		else if (strcmp(way, "i386") == 0)
			result = i386(buffer);
#endif
		else if (strcmp(way, "readonly") == 0) {
			mprotect(buffer, 4096, PROT_READ);
			result = native(SYS_sysinfo, buffer);
			mprotect(buffer, 4096, PROT_READ | PROT_WRITE);
		} else if (strcmp(way, "loop") == 0) {
			loop(buffer);
			continue;
		}
		print(way, result, buffer);
	}
	return 0;
}
