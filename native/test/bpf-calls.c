/*
 * Calls bpf(2) about device programs as its words say, one after the other, and prints `WORD RESULT` for each: the
 * result, or a negative errno. Programs and links are remembered under numbers 0 to 9. Words:
 *
 *   load:N:KIND[:FLAGS]   KIND as in load() below; deny refuses 1:5
 *   open:PATH             the cgroup that the following words mean
 *   attach:N:FLAGS[:R]    R is replaced; detach:N  detach-none  link:N  type:N (another attach type)  query  effective
 *   wait  close:N  cloexec:N  device:PATH  mkdir:PATH  enter:PATH  nested (a user namespace)
 *   send:N:SOCKET  receive:N:SOCKET  the descriptor passes to another process, whichever begins first
 *   raw:CMD:SIZE:FILL     an attribute of SIZE bytes, each FILL; null:CMD:SIZE  log (the first line of the verifier)
 *   flip:N:PATH:ROUNDS    attaches to the cgroup while a thread puts PATH's descriptor into the attribute: successes there
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { ATTR_BYTES = 152, LOG_BYTES = 65536, DEVICE_PROGRAM = 15, SOCKET_FILTER = 1, DEVICE_ATTACH = 6 };

static int fds[10] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
static int cgroup = -1;
static char verifier_log[LOG_BYTES];

static long call(int command, void *attr, unsigned int size)
{
	long result = syscall(SYS_bpf, command, attr, size);

	return result < 0 ? -errno : result;
}

struct insn {
	uint8_t code;
	uint8_t registers;
	int16_t offset;
	int32_t immediate;
};

static const struct insn allow[] = { { 0xb7, 0, 0, 1 }, { 0x95, 0, 0, 0 } };
/* r2 = major, r3 = minor; 0 for 1:5, else 1. */
static const struct insn deny[] = {
	{ 0x61, 0x12, 4, 0 }, { 0x61, 0x13, 8, 0 }, { 0xb7, 0, 0, 1 }, { 0x55, 2, 2, 1 },
	{ 0x55, 3, 1, 5 },    { 0xb7, 0, 0, 0 },    { 0x95, 0, 0, 0 },
};
static const struct insn bad[] = { { 0xbf, 0x50, 0, 0 }, { 0x95, 0, 0, 0 } };
static const struct insn map[] = { { 0x18, 0x11, 0, 3 }, { 0, 0, 0, 0 }, { 0xb7, 0, 0, 1 }, { 0x95, 0, 0, 0 } };
static const struct insn retval[] = {
	{ 0xb7, 1, 0, 0 }, { 0x85, 0, 0, 187 }, { 0xb7, 0, 0, 1 }, { 0x95, 0, 0, 0 }
};
static const struct insn kfunc[] = { { 0x85, 0x20, 0, 1 }, { 0xb7, 0, 0, 1 }, { 0x95, 0, 0, 0 } };

static long load(const char *kind, unsigned int flags)
{
	unsigned char attr[ATTR_BYTES] = { 0 };
	union bpf_attr *load = (union bpf_attr *)attr;
	static char license[200] = "GPL";

#define PROGRAM(name) (load->insns = (uintptr_t)(name), load->insn_cnt = sizeof(name) / sizeof((name)[0]))
	load->prog_type = DEVICE_PROGRAM;
	load->prog_flags = flags;
	memcpy(load->prog_name, "test", 4);
	PROGRAM(allow);
	if (strcmp(kind, "deny") == 0)
		PROGRAM(deny);
	else if (strcmp(kind, "map") == 0)
		PROGRAM(map);
	else if (strcmp(kind, "retval") == 0)
		PROGRAM(retval);
	else if (strcmp(kind, "kfunc") == 0)
		PROGRAM(kfunc);
	else if (strcmp(kind, "socket") == 0)
		load->prog_type = SOCKET_FILTER;
	else if (strcmp(kind, "empty") == 0)
		load->insn_cnt = 0;
	else if (strcmp(kind, "huge") == 0)
		load->insn_cnt = 1000001;
	else if (strcmp(kind, "wild") == 0)
		load->insn_cnt = 1000000;
	else if (strcmp(kind, "longlicense") == 0)
		memset(license, 'G', sizeof(license) - 1);
	if (strcmp(kind, "bad") == 0)
		PROGRAM(bad);
	load->license = (uintptr_t)license;
	if (strcmp(kind, "nulllicense") == 0)
		load->license = 0;
	if (strcmp(kind, "bad") == 0 || strcmp(kind, "log") == 0) {
		load->log_level = 1;
		load->log_size = sizeof(verifier_log);
		load->log_buf = (uintptr_t)verifier_log;
	}
	if (strcmp(kind, "halflog") == 0)
		load->log_size = 128;
	if (strcmp(kind, "wildlog") == 0) {
		load->log_level = 1;
		load->log_size = 4096;
		load->log_buf = 8;
	}
	return call(BPF_PROG_LOAD, attr, sizeof(attr));
}

static long attach(int command, int program, unsigned int type, unsigned int flags, int replaced)
{
	uint32_t attr[8] = { (uint32_t)cgroup, (uint32_t)program, type, flags, (uint32_t)replaced };

	return call(command, attr, command == BPF_PROG_ATTACH ? 20 : 16);
}

static long link_program(int program, unsigned int type)
{
	uint32_t attr[8] = { (uint32_t)program, (uint32_t)cgroup, type, 0 };

	return call(BPF_LINK_CREATE, attr, 32);
}

static void query(unsigned int flags)
{
	struct {
		uint32_t target, type, flags, attach_flags;
		uint64_t ids;
		uint32_t count, padding;
		uint64_t flags_of_each, reserved[3];
	} attr = { .target = (uint32_t)cgroup, .type = DEVICE_ATTACH, .flags = flags };
	uint32_t ids[16] = { 0 };
	uint32_t expected = 0;
	long result;

	attr.ids = (uintptr_t)ids;
	attr.count = 16;
	result = call(BPF_PROG_QUERY, &attr, sizeof(attr));
	for (unsigned int i = 0; i < 16; i++)
		expected += ids[i] != 0;
	printf("%ld count=%u flags=%u ids=%u", result, attr.count, attr.attach_flags, expected);
	if (attr.count > 1) {
		attr.count = 1;
		ids[1] = 0;
		result = call(BPF_PROG_QUERY, &attr, sizeof(attr));
		printf(" short=%ld count=%u second=%u", result, attr.count, ids[1]);
	}
	printf("\n");
}

static volatile uint32_t *flipped;
static uint32_t flip_values[2];
static volatile int flip_done;

static void *flip(void *unused)
{
	while (!flip_done) {
		*flipped = flip_values[0];
		*flipped = flip_values[1];
	}
	return unused;
}

/* Programs attached to the other cgroup by winning a race; none may be. */
static long race(int program, const char *path, int rounds)
{
	static uint32_t attr[8];
	static uint32_t attached[8];
	pthread_t thread;
	long hits = 0;
	int other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	attr[1] = (uint32_t)program;
	attr[2] = DEVICE_ATTACH;
	attr[3] = BPF_F_ALLOW_MULTI;
	flipped = &attr[0];
	flip_values[0] = (uint32_t)cgroup;
	flip_values[1] = (uint32_t)other;
	pthread_create(&thread, NULL, flip, NULL);
	for (int i = 0; i < rounds; i++) {
		attr[2] = i % 2 ? DEVICE_ATTACH : 0;
		(void)call(BPF_PROG_ATTACH, attr, 20);
		memcpy(attached, (const uint32_t[8]){ (uint32_t)other, (uint32_t)program, DEVICE_ATTACH }, 32);
		hits += call(BPF_PROG_DETACH, attached, 16) == 0;
	}
	flip_done = 1;
	pthread_join(thread, NULL);
	return hits;
}

static long enter(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long result = fd < 0 ? -errno : write(fd, "0", 1);

	return result < 0 ? -errno : result;
}

/* One descriptor over a socket at `path`: unix(7), SCM_RIGHTS. The receiver makes the socket. */
static long pass(const char *path, int *fd, int is_sending)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (!is_sending) {
		if (bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(socket_fd, 1) < 0)
			return -errno;
		socket_fd = accept(socket_fd, NULL, NULL);
		if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) < 0 || !CMSG_FIRSTHDR(&message))
			return -errno;
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		return 0;
	}
	for (int i = 0; connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0; i++) {
		if (i == 300)
			return -errno;
		usleep(100000);
	}
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), fd, sizeof(int));
	return sendmsg(socket_fd, &message, 0) < 0 ? -errno : 0;
}

static long raw(const char *word)
{
	static unsigned char bytes[1 << 16];
	int command, size, fill;

	if (sscanf(word, "raw:%d:%d:%d", &command, &size, &fill) == 3) {
		memset(bytes, fill, sizeof(bytes));
		return call(command, bytes, (unsigned int)size);
	}
	return sscanf(word, "null:%d:%d", &command, &size) == 2 ? call(command, NULL, (unsigned int)size) : -1;
}

static long word_result(char *word)
{
	char *field[4] = { word };
	int number;

	for (int i = 1; i < 4; i++) {
		field[i] = field[i - 1] ? strchr(field[i - 1], ':') : NULL;
		if (field[i])
			field[i]++;
	}
	if (strncmp(word, "open:", 5) == 0)
		return (cgroup = open(field[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ? -errno : 0;
	if (strncmp(word, "mkdir:", 6) == 0)
		return mkdir(field[1], 0755) < 0 ? -errno : 0;
	if (strncmp(word, "enter:", 6) == 0)
		return enter(field[1]);
	if (strncmp(word, "device:", 7) == 0)
		return (number = open(field[1], O_RDONLY | O_CLOEXEC)) < 0 ? -errno : close(number);
	if (strcmp(word, "nested") == 0)
		return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
	if (strcmp(word, "detach-none") == 0)
		return attach(BPF_PROG_DETACH, -1, DEVICE_ATTACH, 0, 0);
	if (strncmp(word, "raw:", 4) == 0 || strncmp(word, "null:", 5) == 0)
		return raw(word);
	if (strcmp(word, "wait") == 0)
		return usleep(300000);
	if (!field[1])
		return -ENOSYS;
	number = atoi(field[1]) % 10;
	if (strncmp(word, "load:", 5) == 0) {
		char kind[32] = { 0 };
		long fd;

		memcpy(kind, field[2], strcspn(field[2], ":"));
		fd = load(kind, field[3] ? (unsigned int)atoi(field[3]) : 0);
		fds[number] = fd < 0 ? -1 : (int)fd;
		return fd < 0 ? fd : 0;
	}
	if (strncmp(word, "attach:", 7) == 0)
		return attach(BPF_PROG_ATTACH, fds[number], DEVICE_ATTACH, (unsigned int)atoi(field[2]),
			      field[3] ? fds[atoi(field[3]) % 10] : 0);
	if (strncmp(word, "type:", 5) == 0)
		return attach(BPF_PROG_ATTACH, fds[number], 0, 0, 0);
	if (strncmp(word, "detach:", 7) == 0)
		return attach(BPF_PROG_DETACH, fds[number], DEVICE_ATTACH, 0, 0);
	if (strncmp(word, "link:", 5) == 0) {
		long fd = link_program(fds[number], DEVICE_ATTACH);

		fds[9] = (int)fd;
		return fd < 0 ? fd : 0;
	}
	if (strncmp(word, "close:", 6) == 0)
		return close(fds[number]) < 0 ? -errno : 0;
	if (strncmp(word, "send:", 5) == 0 || strncmp(word, "receive:", 8) == 0)
		return pass(field[2], &fds[number], word[0] == 's');
	if (strncmp(word, "cloexec:", 8) == 0)
		return fcntl(fds[number], F_GETFD);
	if (strncmp(word, "flip:", 5) == 0) {
		char *path = strndup(field[2], strcspn(field[2], ":"));

		return race(fds[number], path, atoi(field[3]));
	}
	return -ENOSYS;
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 1; i < count; i++) {
		char *word = strdup(words[i]);

		printf("%s ", words[i]);
		if (strcmp(words[i], "query") == 0)
			query(0);
		else if (strcmp(words[i], "effective") == 0)
			query(BPF_F_QUERY_EFFECTIVE);
		else if (strcmp(words[i], "log") == 0)
			printf("%.*s\n", (int)strcspn(verifier_log, "\n"), verifier_log);
		else
			printf("%ld\n", word_result(word));
		free(word);
	}
	return 0;
}
