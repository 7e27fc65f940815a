/*
 * The plan: one flat blob in a memfd, mapped read-only and checked once, then walked in place. Nothing is copied and
 * nothing is parsed beyond lengths and terminating zeros.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "interceptor-init.h"

enum { PLAN_SIZE_MAX = 16 << 20, RECORDS_MAX = 65536, SOCK_FILTER_SIZE = 8, BPF_INSTRUCTIONS_MAX = 4096 };

static bool record_is_valid(const struct record *record)
{
	static const unsigned char strings[RECORD_LIMIT] = {
		[RECORD_ROOT] = 2,	  [RECORD_BIND] = 3,	    [RECORD_MOUNT] = 2,	    [RECORD_DIRECTORY] = 1,
		[RECORD_FILE] = 1,	  [RECORD_SYMLINK] = 2,	    [RECORD_SEAL] = 1,	    [RECORD_STAGE] = 1,
		[RECORD_HOSTNAME] = 1,	  [RECORD_WORKDIR] = 1,	    [RECORD_ENVIRONMENT] = 1, [RECORD_ARGUMENT] = 1,
		[RECORD_CANDIDATE] = 1,	  [RECORD_REMOVE] = 1,	    [RECORD_NODE] = 4,
	};
	const char *bytes = record_bytes(record);
	size_t zeros = 0;

	if (record->kind == 0 || record->kind >= RECORD_LIMIT)
		return false;
	if (record->kind == RECORD_DENY_FILTER || record->kind == RECORD_NOTIFY_FILTER)
		return record->length > 0 && record->length % SOCK_FILTER_SIZE == 0 &&
		       record->length / SOCK_FILTER_SIZE <= BPF_INSTRUCTIONS_MAX;
	if (record->length == 0 || bytes[record->length - 1] != '\0')
		return false;
	for (size_t i = 0; i < record->length; i++)
		zeros += bytes[i] == '\0';
	if (record->kind == RECORD_MOUNT)
		return zeros >= 2 && zeros % 2 == 0;
	return zeros == strings[record->kind];
}

static size_t record_size(const struct record *record)
{
	return sizeof(*record) + (((size_t)record->length + 7) & ~(size_t)7);
}

static bool plan_is_valid(const struct plan *plan, size_t size)
{
	size_t offset = sizeof(*plan);

	if (plan->magic != PLAN_MAGIC || plan->size != size || plan->records > RECORDS_MAX)
		return false;
	for (uint32_t i = 0; i < plan->records; i++) {
		const struct record *record = (const void *)((const char *)plan + offset);

		if (size - offset < sizeof(*record) || size - offset - sizeof(*record) < record->length)
			return false;
		if (record_size(record) > size - offset || !record_is_valid(record))
			return false;
		offset += record_size(record);
	}
	return offset == size;
}

const struct plan *plan_map(int fd)
{
	struct stat status;
	void *address;

	if (fstat(fd, &status) < 0)
		fail(STAGE_PLAN, 0);
	if (status.st_size < (off_t)sizeof(struct plan) || status.st_size > PLAN_SIZE_MAX) {
		errno = EBADMSG;
		fail(STAGE_PLAN, 0);
	}
	address = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (address == MAP_FAILED)
		fail(STAGE_PLAN, 0);
	if (!plan_is_valid(address, (size_t)status.st_size)) {
		errno = EBADMSG;
		fail(STAGE_PLAN, 0);
	}
	return address;
}

const struct record *plan_first(const struct plan *plan)
{
	return plan->records == 0 ? NULL : (const void *)(plan + 1);
}

const struct record *plan_next(const struct plan *plan, const struct record *record)
{
	const char *next = (const char *)record + record_size(record);

	return next < (const char *)plan + plan->size ? (const void *)next : NULL;
}

const struct record *plan_find(const struct plan *plan, enum record_kind kind)
{
	for (const struct record *record = plan_first(plan); record; record = plan_next(plan, record)) {
		if (record->kind == kind)
			return record;
	}
	return NULL;
}

/* NULL past the last string. */
const char *record_string(const struct record *record, unsigned int index)
{
	const char *string = record_bytes(record);
	const char *end = string + record->length;

	for (; index > 0 && string < end; index--)
		string += strlen(string) + 1;
	return string < end ? string : NULL;
}

const void *record_bytes(const struct record *record)
{
	return record + 1;
}
